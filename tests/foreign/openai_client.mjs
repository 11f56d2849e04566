// OpenAI's JavaScript client on our worker. See README.md.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.WORKER_OPENAI_JS}/`);
const OpenAI = require('openai');

const { WORKER_URL, WORKER_KEY, WORKER_PROMPT } = process.env;
const client = (apiKey = WORKER_KEY) =>
  new OpenAI({ baseURL: `${WORKER_URL}/v1`, apiKey, maxRetries: 0 });
const ask = (more) =>
  client().completions.create({ model: 'any', prompt: WORKER_PROMPT, seed: 7, ...more });

const models = (await client().models.list()).data;
assert.equal(models.length, 1);

const whole = await ask({ max_tokens: 24 });
const [{ text, finish_reason: reason }] = whole.choices;
assert.equal(whole.object, 'text_completion');
assert.ok(text && ['stop', 'length'].includes(reason));
assert.equal((await ask({ max_tokens: 24 })).choices[0].text, text);

let streamed = '';
let last;
const stream = await ask({ max_tokens: 24, stream: true, stream_options: { include_usage: true } });
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.text ?? '';
  last = chunk;
}
assert.equal(streamed, text);
assert.deepEqual(last.choices, []);
assert.equal(last.usage.completion_tokens, whole.usage.completion_tokens);

const stop = text.slice(text.length / 2, text.length / 2 + 3);
const stopped = (await ask({ max_tokens: 24, stop })).choices[0];
assert.equal(stopped.text, text.slice(0, text.indexOf(stop)));
assert.equal(stopped.finish_reason, 'stop');

// Whoever leaves in the middle leaves; the test looks whether the engine noticed.
for await (const chunk of await ask({ max_tokens: 800, stream: true, ignore_eos: true })) {
  assert.equal(chunk.object, 'text_completion');
  break;
}

const refused = (call, kind, status, code) =>
  assert.rejects(call, (error) => {
    assert.ok(error instanceof kind, error.constructor.name);
    assert.deepEqual([error.status, error.code], [status, code]);
    return true;
  });
await refused(client('wrong').models.list(), OpenAI.AuthenticationError, 401, 'invalid_api_key');
await refused(ask({ temperature: 99 }), OpenAI.BadRequestError, 400, 'invalid_value');
await refused(ask({ best_of: 2 }), OpenAI.BadRequestError, 400, 'unsupported_parameter');
const long = client().completions.create({ model: 'any', prompt: 'word '.repeat(5000) });
await refused(long, OpenAI.BadRequestError, 400, 'context_length_exceeded');
await refused(client().models.retrieve('another'), OpenAI.NotFoundError, 404, 'model_not_found');
const chat = client().chat.completions.create({
  model: 'any',
  messages: [{ role: 'user', content: 'Hi' }],
});
await refused(chat, OpenAI.NotFoundError, 404, 'not_found');
console.log('all as it should be');
