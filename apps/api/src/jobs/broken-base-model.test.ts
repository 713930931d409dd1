// Base models with broken files: the operator's error, which no retry fixes and whose path is not shown.
import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeTinyModel } from '@graft/peft-core/testing';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';

let folder: string;
let bench: ApiBench;
let training_file: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-broken-'));
  await writeTinyModel(join(folder, 'tiny'));
  await writeTinyModel(join(folder, 'cut'));
  await truncate(join(folder, 'cut', 'model.safetensors'), 5000);
  // A version that GGUF never had.
  await writeFile(join(folder, 'odd.gguf'), Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(60, 0xff)]));
  await writeTinyModel(join(folder, 'wordless'));
  await writeFile(join(folder, 'wordless', 'tokenizer.json'), '{"model": ');
  await writeTinyModel(join(folder, 'strange'));
  await writeFile(join(folder, 'strange', 'tokenizer.json'), '{"model": {"type": "None"}}');
  const models = join(folder, 'base-models.json');
  const entries = {
    tiny: { folder: 'tiny' },
    cut: { folder: 'cut' },
    odd: { folder: 'odd.gguf' },
    wordless: { folder: 'wordless' },
    strange: { folder: 'strange' },
    gone: { folder: 'gone' },
  };
  await writeFile(models, JSON.stringify(entries));
  bench = await openApiBench({}, { GRAFT_BASE_MODELS: models });
  training_file = await bench.acme.upload(chatLine);
});
after(async () => {
  await bench?.close();
  await rm(folder, { recursive: true, force: true });
});

const path = '/v1/fine_tuning/jobs';

async function rowCounts(): Promise<unknown> {
  const { rows } = await bench.services.sql.query(
    'SELECT (SELECT count(*) FROM jobs) AS jobs, (SELECT count(*) FROM job_events) AS events, (SELECT count(*) FROM audit_log) AS audit, (SELECT count(*) FROM idempotency_keys) AS keys',
  );
  return rows[0];
}

describe('a base model that is broken', () => {
  for (const { model, code, reason } of [
    { model: 'cut', code: 'invalid_safetensors', reason: /model\.safetensors: .*5000/ },
    { model: 'odd', code: 'invalid_gguf', reason: /odd\.gguf/ },
    { model: 'wordless', code: 'invalid_model', reason: /tokenizer\.json is not JSON/ },
    { model: 'strange', code: 'unsupported_tokenizer', reason: /tokenizer\.json: model\.vocab/ },
  ]) {
    test(`${code}: no job, no path, and nothing that a client would try again`, async () => {
      const before = await rowCounts();
      const headers = { 'idempotency-key': `broken ${model}` };
      const answer = await bench.acme.send('POST', path, { model, training_file }, headers);
      const message = assertError(answer, 400, code, 'model');
      assert.match(message, new RegExp(`The base model ${model} .*operator`));
      assert.match(message, reason);
      assert.ok(!answer.text.includes(folder), answer.text);
      assert.doesNotMatch(answer.text, /\/\w/);
      assert.deepEqual(await rowCounts(), before);
    });
  }

  test('a missing folder may come back: 503, without its path', async () => {
    const answer = await bench.acme.send('POST', path, { model: 'gone', training_file });
    assertError(answer, 503, 'base_model_unavailable', 'model');
    assert.equal(answer.headers.get('retry-after'), '5');
    assert.ok(!answer.text.includes(folder), answer.text);
  });

  test('a model that is unavailable while files are validated postpones the validation', async () => {
    const { sql } = bench.services;
    const sound = await bench.acme.send('POST', path, { model: 'tiny', training_file });
    assert.equal(sound.status, 200, sound.text);
    await sql.query(`INSERT INTO jobs (id, team_id, state, model, seed, training_file_id, hyperparameters, peft, training)
      SELECT 'ftjob-gone', team_id, 'validating', 'gone', seed, training_file_id, hyperparameters, peft, training
      FROM jobs WHERE model = 'tiny' LIMIT 1`);
    const look = async () =>
      (
        await sql.query(`SELECT state, outcome, validation_attempts AS attempts, run_after > now() AS later
          FROM jobs JOIN job_attempts ON job_id = id WHERE id = 'ftjob-gone' AND outcome IS NOT NULL`)
      ).rows;
    for (let tries = 0; tries < 200 && (await look()).length === 0; tries++) await sleep(100);
    assert.deepEqual(await look(), [
      { state: 'validating', outcome: 'environment', attempts: 0, later: true },
    ]);
  });
});
