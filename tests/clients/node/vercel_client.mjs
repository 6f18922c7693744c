// Drives Vercel's "ai" with "@ai-sdk/openai", whose models speak the responses API by default.
// Usage: node vercel_client.mjs BASE_URL API_KEY SCENARIO...
import { createOpenAI } from "@ai-sdk/openai";
import { Output, generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";
import { apiKey, baseURL, run } from "./scenarios.mjs";

const openai = createOpenAI({ baseURL, apiKey });
const asked = (prompt, extra = {}) => ({ model: openai("gpt-4o"), maxRetries: 0, prompt, ...extra });
// errors of a stream are parts of it; the default is to print them
const streamed = (prompt, extra = {}) => streamText({ ...asked(prompt, extra), onError: () => {} });

const cities = [];
const get_weather = tool({
  description: "Current weather of a city.",
  inputSchema: z.object({ city: z.string(), unit: z.string() }),
  execute: async ({ city, unit }) => {
    cities.push(city);
    return `18 degrees ${unit} in ${city}`;
  },
});
const withTools = { tools: { get_weather }, stopWhen: isStepCount(3) };

async function object(prompt) {
  const output = Output.object({ schema: z.object({ name: z.string(), year: z.number() }) });
  return (await generateText(asked(prompt, { output }))).output;
}

const scenarios = {
  buffered: async () => {
    const { text, usage, finishReason, response } = await generateText(asked("hello", { system: "Be short." }));
    return { text, input: usage.inputTokens, output: usage.outputTokens, finishReason, id: response.id };
  },
  streamed: async () => {
    const result = streamed("hello");
    const pieces = [];
    for await (const piece of result.textStream) pieces.push(piece);
    return { pieces, finishReason: await result.finishReason, output: (await result.usage).outputTokens };
  },
  letters: async () => (await generateText(asked("other letters"))).text,
  reasoning: async () => {
    const result = await generateText(asked("think first", { model: openai("o3") }));
    return { text: result.text, reasoning: result.reasoningText };
  },
  tools: async () => {
    cities.length = 0;
    const { text, steps } = await generateText(asked("weather in Paris", withTools));
    return { text, cities, steps: steps.length };
  },
  tools_streamed: async () => {
    cities.length = 0;
    const result = streamed("weather in Paris", withTools);
    const kinds = new Set();
    for await (const part of result.fullStream) kinds.add(part.type);
    return { text: await result.text, cities, kinds: [...kinds].filter((kind) => kind.startsWith("tool-")) };
  },
  output: () => object("who wrote the first program"),
  output_natively: () => object("who wrote the first program of all"),
  conversation: async () => {
    const messages = [{ role: "user", content: "My name is Ada." }];
    const first = await generateText({ ...asked(), prompt: undefined, messages });
    messages.push(...first.response.messages, { role: "user", content: "What is my name?" });
    return (await generateText({ ...asked(), prompt: undefined, messages })).text;
  },
  demo: async () => {
    const model = openai("demo");
    const { text } = await generateText(asked("hello", { model }));
    return { buffered: text, streamed: await streamed("hello", { model }).text };
  },
  bad_request: () => generateText(asked("bad request")),
  rate_limited: () => generateText(asked("rate limited")),
  cut_off: async () => {
    const parts = [];
    for await (const part of streamed("cut off").fullStream) parts.push(part);
    const only = (type) => parts.filter((part) => part.type === type);
    return { errors: only("error").length, finish: only("finish").map((part) => part.finishReason) };
  },
};

await run(scenarios);
