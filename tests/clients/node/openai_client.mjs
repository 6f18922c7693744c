// Drives the npm package "openai" through named scenarios.
// Usage: node openai_client.mjs BASE_URL API_KEY SCENARIO...
import OpenAI from "openai";
import { apiKey, baseURL, run } from "./scenarios.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const ask = (text) => [{ role: "user", content: text }];
const create = (content, extra = {}, options = {}) =>
  client.chat.completions.create({ model: "gpt-4o", messages: ask(content), ...extra }, options);

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Current weather of a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

async function collect(content, extra = {}) {
  const chunks = [];
  for await (const chunk of await create(content, { ...extra, stream: true })) chunks.push(chunk);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  return {
    text: choices.map((choice) => choice.delta.content ?? "").join(""),
    finish: choices.map((choice) => choice.finish_reason).filter(Boolean),
    usage: chunks.map((chunk) => chunk.usage).filter(Boolean),
    withoutChoices: chunks.filter((chunk) => chunk.choices.length === 0).length,
  };
}

const scenarios = {
  version: async () => ({ node: process.versions.node, user_agent: client.constructor.name }),
  buffered: async () => {
    const { data, response, request_id } = await create("hello").withResponse();
    return { reply: data, requestId: request_id, header: response.headers.get("x-request-id") };
  },
  streamed: () => collect("hello"),
  streamed_usage: () => collect("hello", { stream_options: { include_usage: true } }),
  letters: () => collect("other letters"),
  stream_helper: async () => {
    const stream = client.chat.completions.stream({ model: "gpt-4o", messages: ask("a long story") });
    let seen = "";
    stream.on("content", (delta) => (seen += delta));
    const final = await stream.finalChatCompletion();
    return { seen, final: final.choices[0].message.content, finish: final.choices[0].finish_reason };
  },
  run_tools: async () => {
    const cities = [];
    const runner = client.chat.completions.runTools({
      model: "gpt-4o",
      messages: ask("weather in Paris"),
      tools: [
        {
          type: "function",
          function: {
            ...weather.function,
            parse: JSON.parse,
            function: ({ city }) => {
              cities.push(city);
              return "18 degrees";
            },
          },
        },
      ],
    });
    return { answer: await runner.finalContent(), cities, roles: runner.messages.map((message) => message.role) };
  },
  tools_streamed: async () => {
    const stream = client.chat.completions.stream({
      model: "gpt-4o",
      messages: ask("two cities"),
      tools: [weather],
    });
    const final = await stream.finalChatCompletion();
    return final.choices[0].message.tool_calls.map((call) => [call.id, call.function.arguments]);
  },
  models: async () => {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    return ids;
  },
  unknown_model: () => create("hello", { model: "nobody" }),
  unknown_model_streamed: () => create("hello", { model: "nobody", stream: true }),
  missing_model: () => create("hello", { model: undefined }),
  bad_request: () => create("bad request"),
  rate_limited: () => create("rate limited", { stream: true }),
  broken_upstream: () => create("broken upstream"),
  cut_off: () => collect("cut off"),
  abort_stream: async () => {
    const stream = await create("a long story", { stream: true });
    const seen = [];
    for await (const chunk of stream) {
      seen.push(chunk.choices[0].delta.content);
      if (seen.at(-1) === "Onc") break;
    }
    return { seen, aborted: stream.controller.signal.aborted };
  },
  demo: async () => {
    const model = (await client.models.list()).data[0].id;
    const reply = await create("hello", { model });
    return { buffered: reply.choices[0].message.content, streamed: (await collect("hello", { model })).text };
  },
  timeout_buffered: () => create("hello", {}, { timeout: 500 }),
};

await run(scenarios);
