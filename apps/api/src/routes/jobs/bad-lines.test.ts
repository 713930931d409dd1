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

test('columns that are not read are listed, and a warning of the check, unless the columns are mapped', async () => {
  const rows =
    '{"question":"a","answer":"b","source":"shop"}\n{"question":"c","answer":"d","source":"shop","note":1}\n';
  const body = { model: 'tiny', training_file: await bench.acme.upload(rows) };
  const message =
    /^columns that are not read: "source" of training_file( \(2 values\))?, "note" of training_file( \(1 value\))?; rename/;
  const check = (await bench.acme.send('POST', '/v1/fine_tuning/checks', body)).json;
  const warning = check.plan.warnings.find(({ param }: { param: string }) => param === 'training.columns');
  assert.match(warning.message, message);
  const columns = { question: 'question', answer: 'answer' };
  for (const [training, isWarned] of [
    [{}, true],
    [{ columns }, false],
  ] as const) {
    const created = await bench.acme.send('POST', path, { ...body, training });
    await bench.untilState(created.json.id, 'queued');
    const job = (await bench.acme.send('GET', `${path}/${created.json.id}`)).json;
    assert.deepEqual(job.data.unread_columns, [
      { file: 'training_file', name: 'source', values: 2 },
      { file: 'training_file', name: 'note', values: 1 },
    ]);
    const events = (await bench.acme.send('GET', `${path}/${job.id}/events`)).json.data;
    const warned = events.filter(
      (event: { level: string; message: string }) => event.level === 'warn' && message.test(event.message),
    );
    assert.equal(warned.length, isWarned ? 1 : 0, JSON.stringify(events));
  }
});
