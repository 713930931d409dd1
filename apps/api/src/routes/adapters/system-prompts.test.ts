// An adapter whose training examples all start with one system message responds as trained only if chats start with it too.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from '../../testing/assert-error.ts';
import { keepCheckpoint } from '../../testing/keep-checkpoint.ts';
import { type ApiBench, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';
import { runJob } from '../../testing/run-job.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

const prompt = 'Sort.\nIt\'s "a" or "b".';
const chat = (system: string | null) =>
  JSON.stringify({
    messages: [
      ...(system === null ? [] : [{ role: 'system', content: system }]),
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'a' },
    ],
  });
const get = async (path: string) => {
  const answer = await bench.acme.send('GET', path);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};

test('the system prompt of the training file is known on its job and version, and stays when the file goes', async () => {
  const { version } = await publishAdapter(
    bench,
    bench.acme,
    'sorter',
    'CAUSAL_LM',
    [chat(prompt), chat(prompt)].join('\n'),
  );
  const job = await get(`/v1/fine_tuning/jobs/${version.jobId}`);
  assert.equal(job.system_prompt, prompt);
  const deleted = await bench.acme.send('DELETE', `/v1/files/${job.training_file}`);
  assert.equal(deleted.status, 200, deleted.text);
  assert.equal((await get(`/v1/fine_tuning/jobs/${job.id}`)).system_prompt, prompt);
  const path = `/v1/adapters/${version.adapterId}/versions/${version.number}`;
  assert.equal((await get(path)).system_prompt, prompt);
  // An Ollama model has it, unless the export names another.
  const exported = async (options?: object) => {
    const { status, text, json } = await bench.acme.send('POST', `${path}/exports`, {
      format: 'ollama',
      options,
    });
    assert.equal(status, 200, text);
    return json.options.system;
  };
  assert.deepEqual([await exported(), await exported({ system: '' })], [prompt, '']);
});

test('the same for a file uploaded in parts, and on a checkpoint and the version created from it', async () => {
  const content = Buffer.from(`${chat(prompt)}\n`.repeat(3));
  const begun = await bench.acme.send('POST', '/v1/uploads', {
    filename: 'parts.jsonl',
    purpose: 'fine-tune',
    bytes: content.length,
    mime_type: 'application/jsonl',
  });
  const form = new FormData();
  form.set('data', new Blob([content]));
  const part = await bench.acme.send('POST', `/v1/uploads/${begun.json.id}/parts`, form);
  const done = await bench.acme.send('POST', `/v1/uploads/${begun.json.id}/complete`, {
    part_ids: [part.json.id],
  });
  assert.equal(done.status, 200, done.text);
  const created = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
    model: 'tiny',
    training_file: done.json.file.id,
    suffix: 'parts',
  });
  assert.equal(created.json.system_prompt, prompt);
  const job = await runJob(bench, created.json.id);
  const checkpoint = await keepCheckpoint(bench, job, 10);
  const list = await get(`/v1/fine_tuning/jobs/${job.id}/checkpoints`);
  const model = list.data[0].fine_tuned_model_checkpoint;
  // The checkpoint's name works like any model, and points to its prompt.
  const { id, base_model, adapter, job: of } = await get(`/v1/models/${encodeURIComponent(model)}`);
  assert.deepEqual([id, base_model, adapter, of], [model, 'tiny', null, job.id]);
  const other = await bench.other.send('GET', `/v1/models/${encodeURIComponent(model)}`);
  assertError(other, 404, 'model_not_found');
  const promote = `/v1/fine_tuning/jobs/${job.id}/checkpoints/${checkpoint}/promote`;
  const promoted = await bench.acme.send('POST', promote, {});
  assert.equal(promoted.json.system_prompt, prompt, promoted.text);
});

test('examples that begin differently have none', async () => {
  for (const lines of [[chat(prompt), chat(`${prompt}!`)], [chat(prompt), chat(null)], [chat('a\0b')]]) {
    const training_file = await bench.acme.upload(lines.join('\n'));
    const { json } = await bench.acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
    assert.equal(json.system_prompt, null);
  }
});
