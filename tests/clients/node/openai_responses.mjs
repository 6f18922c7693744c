// Drives `client.responses` of the npm package "openai" through named scenarios.
// Usage: node openai_responses.mjs BASE_URL API_KEY SCENARIO...
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { apiKey, baseURL, run } from "./scenarios.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const model = "gpt-4o";
const create = (input, extra = {}) => client.responses.create({ model, input, ...extra });
const collect = async (input, extra = {}) => {
  const events = [];
  for await (const event of await create(input, { ...extra, stream: true })) events.push(event);
  return events;
};

const weather = {
  type: "function",
  name: "get_weather",
  description: "Current weather of a city.",
  strict: true,
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};

async function parse(input) {
  const format = zodTextFormat(z.object({ name: z.string(), year: z.number() }), "author");
  return (await client.responses.parse({ model, input, text: { format } })).output_parsed;
}

const scenarios = {
  buffered: async () => {
    const { data, request_id } = await create("hello").withResponse();
    return { text: data.output_text, status: data.status, usage: data.usage, requestId: request_id };
  },
  streamed: async () => {
    const events = await collect("hello");
    return {
      types: [...new Set(events.map((event) => event.type))],
      text: events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join(""),
      final: events.at(-1).response.output[0].content[0].text,
    };
  },
  letters: async () => (await create("other letters")).output_text,
  stream_helper: async () => {
    const stream = client.responses.stream({ model, input: "a long story" });
    let seen = "";
    stream.on("response.output_text.delta", (event) => (seen += event.delta));
    const final = await stream.finalResponse();
    return { seen, final: final.output_text };
  },
  parsed: () => parse("who wrote the first program"),
  parsed_natively: () => parse("who wrote the first program of all"),
  tools: async () => {
    const input = [{ role: "user", content: "weather in Paris" }];
    const first = await create(input, { tools: [weather] });
    const result = { type: "function_call_output", call_id: first.output[0].call_id, output: "18 degrees" };
    const second = await create([...input, ...first.output, result], { tools: [weather] });
    return { calls: first.output.map((item) => [item.name, JSON.parse(item.arguments)]), text: second.output_text };
  },
  tools_streamed: async () => {
    const final = await client.responses.stream({ model, input: "two cities", tools: [weather] }).finalResponse();
    return final.output.map((item) => [item.call_id, item.arguments]);
  },
  continued: async () => {
    const first = await create("My name is Ada.");
    const second = await create("What is my name?", { previous_response_id: first.id });
    const found = await client.responses.retrieve(second.id);
    await client.responses.delete(first.id);
    const gone = await client.responses.retrieve(first.id).catch((error) => error.constructor.name);
    const previous = found.previous_response_id === first.id;
    return { text: second.output_text, found: found.output_text, previous, gone };
  },
  bad_request: () => create("bad request"),
  rate_limited: () => create("rate limited", { stream: true }),
  cut_off: () => collect("cut off"),
};

await run(scenarios);
