import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { type ApiBench, openApiBench } from '../testing/open-api-bench.ts';
import { done, type ScriptedWorker, says, startScriptedWorker } from '../testing/scripted-worker.ts';

let bench: ApiBench;
let worker: ScriptedWorker | null = null;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());
afterEach(async () => {
  await worker?.close();
  worker = null;
});

async function start(answer: ScriptedWorker['answer']): Promise<ScriptedWorker> {
  worker = await startScriptedWorker(bench.services, 'worker-likely', answer);
  return worker;
}

async function chat(more: object) {
  const messages = [{ role: 'user', content: 'Hi' }];
  return await bench.acme.send('POST', '/v1/chat/completions', { model: 'tiny', messages, ...more });
}
async function complete(more: object) {
  return await bench.acme.send('POST', '/v1/completions', { model: 'tiny', prompt: 'Once', ...more });
}

/** The JSON of each server-sent event but the last, `[DONE]`. */
function piecesOf(text: string) {
  const events = text.split('\n\n').filter(Boolean);
  assert.equal(events.pop(), 'data: [DONE]');
  return events.map((event) => JSON.parse(event.replace(/^data: /, '')));
}

describe('probabilities of tokens', () => {
  const likely = (token: string, logprob: number, other: string) => ({
    token,
    logprob,
    top: [
      { token, logprob },
      { token: other, logprob: -3 },
    ],
  });
  const lines = [
    { type: 'token', text: 'Hel', likely: likely('Hel', -0.5, 'Bon') },
    // Part of a character, which the next token completes.
    { type: 'token', text: '', likely: likely('\uFFFD', -0.25, 'a') },
    { type: 'token', text: '½', likely: likely('\uFFFD', -0.125, 'b') },
    {
      ...done(),
      usage: {
        prompt_tokens: 40,
        completion_tokens: 3,
        total_tokens: 43,
        prompt_tokens_details: { cached_tokens: 32 },
      },
    },
  ];

  test('of a conversation, whole and streamed, with what was cached', async () => {
    const worker = await start(says(...lines));
    const { json } = await chat({ logprobs: true, top_logprobs: 2 });
    assert.equal(worker.requests[0].logprobs, 2);
    assert.equal(json.usage.prompt_tokens_details.cached_tokens, 32);
    const { content } = json.choices[0].logprobs;
    assert.deepEqual(content[0], {
      token: 'Hel',
      logprob: -0.5,
      bytes: [72, 101, 108],
      top_logprobs: [
        { token: 'Hel', logprob: -0.5, bytes: [72, 101, 108] },
        { token: 'Bon', logprob: -3, bytes: [66, 111, 110] },
      ],
    });
    assert.deepEqual(
      content.map(({ logprob, bytes }: { logprob: number; bytes: number[] | null }) => [
        logprob,
        bytes !== null,
      ]),
      [
        [-0.5, true],
        [-0.25, false],
        [-0.125, false],
      ],
    );
    const events = piecesOf((await chat({ logprobs: true, stream: true })).text);
    const streamed = events.flatMap((chunk) => chunk.choices[0].logprobs?.content ?? []);
    assert.deepEqual(streamed, content);
    assert.equal(worker.requests[1].logprobs, 0);
    assert.equal((await chat({ logprobs: false })).json.choices[0].logprobs, null);
    assert.equal('logprobs' in worker.requests[2], false, 'a worker of an earlier version does not know it');
  });

  test('of a text', async () => {
    await start(says(...lines));
    const { logprobs } = (await complete({ logprobs: 2 })).json.choices[0];
    assert.deepEqual(logprobs, {
      tokens: ['Hel', '\uFFFD', '\uFFFD'],
      token_logprobs: [-0.5, -0.25, -0.125],
      top_logprobs: [
        { Hel: -0.5, Bon: -3 },
        { '\uFFFD': -0.25, a: -3 },
        { '\uFFFD': -0.125, b: -3 },
      ],
      text_offset: [0, 3, 4],
    });
    const events = piecesOf((await complete({ logprobs: 0, stream: true })).text);
    assert.deepEqual(
      events.flatMap((chunk) => chunk.choices[0].logprobs?.text_offset ?? []),
      [0, 3, 4],
    );
  });
});
