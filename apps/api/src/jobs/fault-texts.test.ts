/** Limits on the cost and output of a job's own chat template, through the API. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';

const path = '/v1/fine_tuning/jobs';
let folder: string;
let env: NodeJS.ProcessEnv;
let bench: ApiBench;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-faults-'));
  await writeTinyModel(join(folder, 'tiny'));
  const models = join(folder, 'base-models.json');
  await writeFile(models, JSON.stringify({ tiny: { folder: 'tiny' } }));
  env = { GRAFT_BASE_MODELS: models };
  bench = await openApiBench({}, env);
});
after(async () => {
  await bench?.close();
  await rm(folder, { recursive: true, force: true });
});

async function failedWith(chat_template: string, of = bench) {
  const training_file = await of.acme.upload(`${chatLine}\n`);
  const body = { model: 'tiny', training_file, training: { chat_template } };
  const made = await of.acme.send('POST', path, body);
  assert.equal(made.status, 200, made.text);
  await of.untilState(made.json.id, 'failed');
  return (await of.acme.send('GET', `${path}/${made.json.id}`)).json;
}

const attemptsOf = async (id: string, of = bench) =>
  (await of.services.sql.query(`SELECT outcome FROM job_attempts WHERE job_id = $1`, [id])).rowCount;

test("a template's message of millions of characters is shortened wherever it is stored or answered", async () => {
  const long = '{% set x = "é" * 1000000 %}{{ raise_exception("Not so: " ~ x ~ x ~ x) }}';
  const { id, error } = await failedWith(long);
  assert.match(error.message, /the chat template refuses these messages: Not so: é{500}/);
  assert.ok(error.message.length <= 4000 && error.message.endsWith('…'), `${error.message.length}`);
  for (const where of ['', `/${id}`, `/${id}/events`, `/${id}/attempts`]) {
    const { status, text } = await bench.acme.send('GET', path + where);
    assert.deepEqual([status, text.length < 30_000], [200, true], `${where}: ${text.length} characters`);
  }
  const { rows } = await bench.services.sql.query<{ table: string; longest: number }>(
    `SELECT 'outbox' AS table, max(length(outbox::text)) AS longest FROM outbox
     UNION ALL SELECT 'validation_results', max(length(validation_results::text)) FROM validation_results
     UNION ALL SELECT 'job_events', max(length(job_events::text)) FROM job_events`,
  );
  for (const { table, longest } of rows) assert.ok((longest ?? 0) < 30_000, `${table}: ${longest}`);
});

test('the database refuses a longer text of a fault', async () => {
  const training_file = await bench.acme.upload(`${chatLine}\n`);
  const { json } = await bench.acme.send('POST', path, { model: 'tiny', training_file });
  await bench.untilState(json.id, 'queued');
  const fault = JSON.stringify({ code: 'x', message: 'm'.repeat(300_000), param: null, fault: 'user' });
  for (const sql of [
    'UPDATE jobs SET error = $2::jsonb WHERE id = $1',
    'UPDATE job_events SET message = $2 WHERE job_id = $1',
    'UPDATE job_attempts SET reason = $2 WHERE job_id = $1',
  ])
    await assert.rejects(bench.services.sql.query(sql, [json.id, fault]), /length_check/);
});

test("a job's own template without end fails the job at once, as the user's fault", async () => {
  const tree =
    '{% set ns = namespace(x=["a"], y=["a"]) %}{% for i in range(45) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{% if ns.x == ns.y %}{% endif %}';
  const { id, error } = await failedWith(tree);
  assert.deepEqual([error.code, error.param], ['invalid_chat_template', 'training.chat_template']);
  assert.match(error.message, /the chat template takes more than \d+ steps, .*; use a simpler one/);
  assert.equal(await attemptsOf(id), 1);
});

test("files that take too long by the clock are tried once more, and the fault is the system's", async () => {
  const hasty = await openApiBench({ validationTimeoutMs: { base: 0, perMegabyte: 1 } }, env);
  try {
    const slow = '{% for i in range(60000) %}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}';
    const { id, error } = await failedWith(slow, hasty);
    assert.equal(error.code, 'validator_lost');
    assert.match(
      error.message,
      /broke 2 times .* Reading the files took longer than files of this size may take/,
    );
    assert.equal(await attemptsOf(id, hasty), 2);
    const { rows } = await hasty.services.sql.query(
      `SELECT error->>'fault' AS fault FROM jobs WHERE id = $1`,
      [id],
    );
    assert.deepEqual(rows, [{ fault: 'system' }]);
  } finally {
    await hasty.close();
  }
});
