// Runs named scenarios and prints one JSON object: {scenario: result}.
// A scenario that throws becomes {"error": {...}} with what a program can read from the exception.
export const [baseURL, apiKey, ...names] = process.argv.slice(2);

function describe(error) {
  const { status, statusCode, code, type, param, message, requestID, name, responseHeaders } = error;
  const retryAfter = (error.headers?.get?.("retry-after") ?? responseHeaders?.["retry-after"]) || undefined;
  const body = error.error ?? error.data;
  const told = { status: status ?? statusCode, code, type, param, message, requestID, retryAfter, body };
  return { class: error.constructor.name, name, ...told };
}

export async function run(scenarios) {
  const results = {};
  for (const name of names) {
    results[name] = await scenarios[name]().catch((error) => ({ error: describe(error) }));
  }
  console.log(JSON.stringify(results));
  process.exit(0);
}
