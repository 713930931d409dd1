/** Ledger entries of completions that are refused after their prompt was processed. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../testing/open-api-bench.ts';
import { type ScriptedWorker, says, startScriptedWorker } from '../testing/scripted-worker.ts';

let bench: ApiBench;
let worker: ScriptedWorker;
before(async () => {
  bench = await openApiBench({ workerWaitMs: 200 });
  worker = await startScriptedWorker(bench.services, 'worker-0', says());
});
after(async () => {
  await worker?.close();
  await bench?.close();
});

const refusal = {
  type: 'error',
  status: 400,
  code: 'context_length_exceeded',
  message: 'Too long.',
  param: 'prompt',
};

/** Number of ledger entries already returned by `entries`, which returns the kind and tokens of new ones. */
let known = 0;
async function entries(): Promise<[string, number][]> {
  const { rows } = await bench.services.sql.query<{ kind: string; quantity: number }>(
    `SELECT kind, quantity::int AS quantity FROM usage_ledger
     WHERE team_id = $1 AND kind IN ('input_tokens', 'output_tokens') ORDER BY id`,
    [bench.acme.teamId],
  );
  const fresh = rows.slice(known);
  known = rows.length;
  return fresh.map(({ kind, quantity }) => [kind, quantity]);
}

const complete = (more: object = {}) =>
  bench.acme.send('POST', '/v1/completions', { model: 'tiny', prompt: 'Once', ...more });

test('a prompt that was read and refused is in the ledger once, for one answer or several, streamed or not', async () => {
  worker.answer = says({ ...refusal, prompt_tokens: 5000, completion_tokens: 0 });
  for (const more of [{}, { stream: true }, { n: 3 }, { n: 3, stream: true }]) {
    assert.equal(assertError(await complete(more), 400, 'context_length_exceeded', 'prompt'), 'Too long.');
    assert.deepEqual(
      await entries(),
      [
        ['input_tokens', 5000],
        ['output_tokens', 0],
      ],
      JSON.stringify(more),
    );
  }
  const messages = [{ role: 'user', content: 'Hi' }];
  const chat = await bench.acme.send('POST', '/v1/chat/completions', { model: 'tiny', messages });
  assertError(chat, 400, 'context_length_exceeded');
  assert.equal((await entries())[0]?.[1], 5000);
});

test('an answer that fails amid its tokens has what was read and written; one that was not read has no entry', async () => {
  const said = { type: 'token', text: 'Hel', prompt_tokens: 7, completion_tokens: 3 };
  worker.answer = says(said, {
    ...refusal,
    code: 'non_finite_logits',
    prompt_tokens: 7,
    completion_tokens: 3,
  });
  assertError(await complete(), 400, 'non_finite_logits');
  assert.deepEqual(await entries(), [
    ['input_tokens', 7],
    ['output_tokens', 3],
  ]);
  for (const line of [refusal, { ...refusal, status: 500, prompt_tokens: 9 }, { ...refusal, status: 503 }]) {
    worker.answer = says(line);
    assert.ok((await complete()).status >= 400);
    assert.deepEqual(await entries(), []);
  }
});
