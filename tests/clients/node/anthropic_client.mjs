// Drives the npm package "@anthropic-ai/sdk" through named scenarios.
// Usage: node anthropic_client.mjs BASE_URL API_KEY SCENARIO...
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { apiKey, baseURL, run } from "./scenarios.mjs";

const client = new Anthropic({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const asked = (content, extra = {}) => ({
  model: "claude-sonnet-4-6",
  max_tokens: 2048,
  messages: typeof content === "string" ? [{ role: "user", content }] : content,
  ...extra,
});
const create = (content, extra) => client.messages.create(asked(content, extra));

const weather = {
  name: "get_weather",
  description: "Current weather of a city.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

const scenarios = {
  buffered: async () => {
    const { data, request_id } = await client.messages.create(asked("hello")).withResponse();
    return { content: data.content, stop: data.stop_reason, usage: data.usage, requestId: request_id };
  },
  streamed: async () => {
    const events = [];
    for await (const event of await create("hello", { stream: true })) events.push(event);
    return {
      types: [...new Set(events.map((event) => event.type))],
      text: events.map((event) => event.delta?.text ?? "").join(""),
    };
  },
  letters: async () => (await create("other letters")).content[0].text,
  stream_helper: async () => {
    let seen = "";
    const stream = client.messages.stream(asked("a long story")).on("text", (text) => (seen += text));
    const final = await stream.finalMessage();
    return { seen, final: final.content[0].text, stop: final.stop_reason, output: final.usage.output_tokens };
  },
  thinking: async () => {
    const thinking = { type: "enabled", budget_tokens: 1024 };
    const final = await client.messages.stream(asked("think first", { thinking })).finalMessage();
    return final.content.map((block) => [block.type, block.thinking ?? block.text]);
  },
  tools: async () => {
    const question = { role: "user", content: "weather in Paris" };
    const first = await create([question], { tools: [weather] });
    const content = first.content.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "18 degrees" }));
    const answered = [question, { role: "assistant", content: first.content }, { role: "user", content }];
    const second = await create(answered, { tools: [weather] });
    return { calls: first.content.map((block) => [block.name, block.input]), text: second.content[0].text };
  },
  tool_runner: async () => {
    const cities = [];
    const run = ({ city }) => {
      cities.push(city);
      return "18 degrees";
    };
    const { name, description, input_schema: inputSchema } = weather;
    const tools = [betaTool({ name, description, inputSchema, run })];
    const final = await client.beta.messages.toolRunner(asked("weather in Paris", { tools }));
    return { text: final.content[0].text, cities };
  },
  tools_streamed: async () => {
    const final = await client.messages.stream(asked("two cities", { tools: [weather] })).finalMessage();
    return final.content.map((block) => [block.id, block.input]);
  },
  demo: async () => {
    const model = (await client.messages.create(asked("hello", { model: "demo" }))).content[0].text;
    const stream = client.messages.stream(asked("hello", { model: "demo" }));
    return { buffered: model, streamed: await stream.finalText() };
  },
  count: async () => {
    const messages = [{ role: "user", content: "How many tokens is this?" }];
    const { input_tokens } = await client.messages.countTokens({ model: "demo", messages });
    const { usage } = await client.messages.create({ model: "demo", max_tokens: 10, messages });
    return { counted: input_tokens, billed: usage.input_tokens };
  },
  unknown_model: () => create("hello", { model: "nobody" }),
  bad_request: () => create("bad request"),
  rate_limited: () => create("rate limited", { stream: true }),
  cut_off: () => client.messages.stream(asked("cut off")).finalMessage(),
};

await run(scenarios);
