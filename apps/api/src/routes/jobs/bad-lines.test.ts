// Files with bad lines: uploads that accept them, and jobs that leave them out.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { jobsPath as path } from '../../testing/job-requests.ts';
import { type ApiBench, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

const content = [
  '{"prompt":"a","completion":"b"}',
  'nope',
  '{"prompt":"c","completion":"d"}',
  '{"prompt":1}',
].join('\n');

/** Uploads with fields before the file. */
async function upload(fields: Record<string, string>, key = bench.acme.key) {
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  form.set('file', new File([content], 'some.jsonl'));
  const response = await fetch(`${bench.url}/v1/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: form,
  });
  // biome-ignore lint/suspicious/noExplicitAny: each test knows the body that it gets.
  return { status: response.status, json: (await response.json()) as any };
}

test('a file with bad lines is rejected, unless the upload accepts them', async () => {
  const rejected = await upload({});
  assert.equal(rejected.status, 400);
  assert.match(rejected.json.error.message, /line 2 is not valid JSON/);
  const unknown = await upload({ on_bad_lines: 'drop' });
  assert.equal(unknown.json.error.param, 'on_bad_lines');
  const accepted = await upload({ on_bad_lines: 'skip' });
  assert.equal(accepted.status, 200, JSON.stringify(accepted.json));
  assert.equal(accepted.json.examples, 2);
});

test('a job fails for them, or lists those that it leaves out', async () => {
  const { json: file } = await upload({ on_bad_lines: 'skip' });
  const create = async (training: object) => {
    const body = { model: 'tiny', training_file: file.id, training };
    return await bench.acme.send('POST', path, body);
  };
  const failed = await create({});
  await bench.untilState(failed.json.id, 'failed');
  const { error } = (await bench.acme.send('GET', `${path}/${failed.json.id}`)).json;
  assert.match(error.message, /line 2 is not valid JSON/);

  const tooMany = await create({ on_bad_lines: 'skip', max_bad_lines: 1 });
  await bench.untilState(tooMany.json.id, 'failed');
  const limited = (await bench.acme.send('GET', `${path}/${tooMany.json.id}`)).json;
  assert.match(limited.error.message, /has 2 bad lines, and max_bad_lines is 1/);

  const created = await create({ on_bad_lines: 'skip' });
  await bench.untilState(created.json.id, 'queued');
  const job = (await bench.acme.send('GET', `${path}/${created.json.id}`)).json;
  assert.equal(job.training.max_bad_lines, 100);
  assert.equal(job.data.training.examples, 2);
  assert.equal(job.data.training.bad_lines, 2);
  assert.deepEqual(
    job.data.bad_lines.map(({ file: name, line }: { file: string; line: number }) => [name, line]),
    [
      ['training_file', 2],
      ['training_file', 4],
    ],
  );
  const events = (await bench.acme.send('GET', `${path}/${job.id}/events`)).json.data;
  assert.ok(
    events.some(({ message }: { message: string }) =>
      /^2 bad lines are left out, such as line 2 of training_file, which is not valid JSON/.test(message),
    ),
    JSON.stringify(events),
  );
});
