// Jobs with several training and validation files.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from '../../testing/assert-error.ts';
import { type JobRequests, jobRequests, jobsPath as path } from '../../testing/job-requests.ts';
import { type ApiBench, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let refuses: JobRequests['refuses'];
/** Files of the team by what they hold. */
const files: Record<'six' | 'three' | 'same' | 'held' | 'text' | 'bad' | 'theirs', string> = {} as never;

const lines = (count: number, name: string) =>
  Array.from({ length: count }, (_, i) => JSON.stringify({ prompt: `${name} ${i}`, completion: 'b' })).join(
    '\n',
  );

before(async () => {
  bench = await openApiBench();
  files.six = await bench.acme.upload(lines(6, 'six'), 'six.jsonl');
  files.three = await bench.acme.upload(lines(3, 'three'), 'three.jsonl');
  // Two examples of `six`, of which one is there twice, and a new one.
  files.same = await bench.acme.upload(
    [lines(2, 'six'), lines(1, 'six'), lines(1, 'new')].join('\n'),
    'same.jsonl',
  );
  files.held = await bench.acme.upload(lines(2, 'six'), 'Held-Out.jsonl');
  files.text = await bench.acme.upload('{"text":"one two"}', 'text.jsonl');
  files.bad = await bench.acme.upload(`${lines(2, 'x')}\n${lines(1, 'y'.repeat(100))}`, 'long lines.jsonl');
  files.theirs = await bench.other.upload(lines(2, 'theirs'));
  ({ refuses } = jobRequests(bench, files.six));
});
after(async () => await bench?.close());

const create = async (body: object, headers: Record<string, string> = {}) =>
  await bench.acme.send('POST', path, { model: 'tiny', ...body }, headers);

async function validated(body: object) {
  const created = await create(body);
  assert.equal(created.status, 200, created.text);
  await bench.untilState(created.json.id, 'queued');
  return (await bench.acme.send('GET', `${path}/${created.json.id}`)).json;
}

/** The same request without `training_file`, which `refuses` sends by default. */
const mixed = (body: object) => ({ training_file: null, ...body });

test('concat: an epoch has each file as often as it asks for; the counts are of each file', async () => {
  const training_files = [
    { file: files.six, epochs: 0.5 },
    { file: files.three, epochs: 3 },
  ];
  const job = await validated({ training_files, training: { n_epochs: 2, batch_size: 2 } });
  assert.equal(job.training_file, files.six);
  assert.deepEqual(job.training_files, [
    { file: files.six, weight: 1, epochs: 0.5 },
    { file: files.three, weight: 1, epochs: 3 },
  ]);
  assert.equal(job.validation_files, null);
  // 3 + 9 examples per epoch.
  assert.equal(job.estimate.steps, 12);
  assert.deepEqual(
    job.data.training_files.map(({ examples }: { examples: number }) => examples),
    [6, 3],
  );
  assert.equal(job.data.training.examples, 9);
  assert.deepEqual(job.data.duplicates, { within: 0, across: 0, exact: true });
  const events = (await bench.acme.send('GET', `${path}/${job.id}/events`)).json.data;
  assert.ok(!events.some(({ level }: { level: string }) => level === 'warn'), JSON.stringify(events));
});

test('interleave: an epoch has the files in proportion to their weights', async () => {
  const training_files = [
    { file: files.six, weight: 1 },
    { file: files.three, weight: 2 },
  ];
  const training = { n_epochs: 1, batch_size: 1 };
  const steps = async (mix_strategy: string) => {
    const job = await validated({ training_files, training: { ...training, mix_strategy } });
    assert.equal(job.training.mix_strategy, mix_strategy);
    return job.estimate.steps;
  };
  assert.equal(await steps('interleave_under'), 2 + 3);
  assert.equal(await steps('interleave_over'), 6 + 12);
});

test('duplicates among the training files and overlap with each validation file are reported', async () => {
  const job = await validated({
    training_files: [{ file: files.six }, { file: files.same }],
    validation_files: [{ file: files.three }, { file: files.held }],
  });
  assert.deepEqual(job.data.duplicates, { within: 0, across: 3, exact: true });
  assert.deepEqual(job.data.overlap, { prompts: 2, identical: 2, exact: true });
  assert.deepEqual(
    job.data.validation_files.map(({ overlap }: { overlap: object }) => overlap),
    [
      { prompts: 0, identical: 0, exact: true },
      { prompts: 2, identical: 2, exact: true },
    ],
  );
  assert.deepEqual(job.validation_files, [
    { file: files.three, name: 'three' },
    { file: files.held, name: 'held_out' },
  ]);
  assert.equal(job.validation_file, files.three);
  const events = (await bench.acme.send('GET', `${path}/${job.id}/events`)).json.data;
  const warnings = events.flatMap(({ level, message }: Record<string, string>) =>
    level === 'warn' ? message : [],
  );
  assert.ok(
    warnings.some((text: string) =>
      /^3 of 10 training examples occur more than once, 3 of them in another/.test(text),
    ),
  );
  assert.ok(warnings.some((text: string) => /^2 of 5 validation examples have the prompt/.test(text)));
});

test('an invalid line is reported with its file, by index and name', async () => {
  const { json } = await create({ training_files: [{ file: files.six }, { file: files.bad }] });
  await bench.untilState(json.id, 'failed');
  const { error } = (await bench.acme.send('GET', `${path}/${json.id}`)).json;
  assert.deepEqual([error.code, error.param], ['invalid_training_file', 'training_files[1]']);
  assert.match(error.message, /^training_files\[1\] \(long lines\.jsonl\): line 3 has \d+ tokens/);
  assert.equal(error.details[0].line, 3);
  const held = await create({
    training_file: files.six,
    validation_files: [{ file: files.bad, name: 'long' }],
  });
  await bench.untilState(held.json.id, 'failed');
  const other = (await bench.acme.send('GET', `${path}/${held.json.id}`)).json.error;
  assert.deepEqual([other.code, other.param], ['invalid_validation_file', 'validation_files[0]']);
});

test('a request that contradicts itself is refused and creates no job', async () => {
  const { six, three } = files;
  const one = [{ file: six }];
  await refuses({ training_files: [{ file: three }] }, 'invalid_value', 'training_files');
  await refuses(mixed({}), 'missing_required_parameter', 'training_file');
  await refuses({ validation_file: three, validation_files: one }, 'invalid_value', 'validation_files');
  // Clients of OpenAI require training_file.
  assert.equal((await create({ training_file: six, training_files: [...one, { file: three }] })).status, 200);
  await refuses(mixed({ training_files: [] }), 'invalid_value', 'training_files');
  await refuses(mixed({ training_files: Array(17).fill({ file: six }) }), 'invalid_value', 'training_files');
  for (const wrong of [
    { weight: 0 },
    { weight: -1 },
    { weight: 1e9 },
    { weight: '2' },
    { epochs: 0 },
    { epochs: 101 },
    { share: 1 },
  ])
    await refuses(
      mixed({ training_files: [{ file: six, ...wrong }] }),
      'share' in wrong ? 'unknown_parameter' : 'invalid_value',
    );
  await refuses(
    mixed({ training_files: [{ file: six, weight: 2 }, { file: three }] }),
    'invalid_value',
    'training_files[0].weight',
  );
  const under = { training: { mix_strategy: 'interleave_under' } };
  await refuses(
    mixed({ ...under, training_files: [{ file: six }, { file: three, epochs: 2 }] }),
    'invalid_value',
    'training_files[1].epochs',
  );
  await refuses(under, 'invalid_training_option', 'training.mix_strategy');
  await refuses(
    { training: { mix_strategy: 'shuffle' } },
    'invalid_training_option',
    'training.mix_strategy',
  );
  await refuses(
    mixed({ training_files: [...one, { file: files.text }] }),
    'invalid_jsonl',
    'training_files[1]',
  );
  await refuses(
    { validation_files: [{ file: three }, { file: files.text }] },
    'invalid_jsonl',
    'validation_files[1]',
  );
  for (const name of ['A', 'a b', '_', 'a'.repeat(33), ''])
    await refuses(
      { validation_files: [{ file: three, name }] },
      name.length > 32 || name === '' ? 'invalid_value' : 'invalid_validation_file_name',
    );
  const twice = [
    { file: three, name: 'a' },
    { file: files.held, name: 'a' },
  ];
  await refuses({ validation_files: twice }, 'invalid_validation_file_name', 'validation_files[1].name');
  await refuses(
    { validation_files: [{ file: three }], training: { validation_split: 0.1 } },
    'invalid_training_option',
  );
  const best = (metric_for_best_model: string) => ({
    validation_files: [{ file: three, name: 'maths' }],
    training: { metric_for_best_model, load_best_model_at_end: true },
  });
  await refuses(best('eval_law_loss'), 'invalid_training_option', 'training.metric_for_best_model');
  await refuses(best('eval_maths_recall_at_1'), 'invalid_training_option', 'training.metric_for_best_model');
  assert.equal((await create({ training_file: six, ...best('eval_maths_loss') })).status, 200);
});

test('a small file with a large weight is refused, naming the file', async () => {
  const training_files = [
    { file: files.six, weight: 1000 },
    { file: files.three, weight: 0.5 },
  ];
  const refused = await create({ training_files, training: { mix_strategy: 'interleave_over' } });
  assert.match(
    assertError(refused, 400, 'invalid_training_option', 'training_files[0].weight'),
    /6 examples 1000 times/,
  );
});

test("another team's file, and one that does not exist, are unknown in either list, to jobs and estimates", async () => {
  for (const file of [files.theirs, 'file-unknown']) {
    await refuses(
      mixed({ training_files: [{ file: files.six }, { file }] }),
      'file_not_found',
      'training_files[1]',
    );
    await refuses(
      { validation_files: [{ file }, { file: files.six }] },
      'file_not_found',
      'validation_files[0]',
    );
    const estimate = { model: 'tiny', training_files: [{ file: files.six }, { file }] };
    assertError(
      await bench.acme.send('POST', '/v1/fine_tuning/estimates', estimate),
      400,
      'file_not_found',
      'training_files[1]',
    );
  }
  const { json: job } = await create({ training_files: [{ file: files.six }, { file: files.three }] });
  assertError(await bench.other.send('GET', `${path}/${job.id}`), 404, 'job_not_found');
  assertError(await bench.other.send('POST', `${path}/${job.id}/clone`, {}), 404, 'job_not_found');
});

test('an estimate of a mixture is that of the job', async () => {
  const body = {
    model: 'tiny',
    training_files: [{ file: files.six, epochs: 2 }, { file: files.three }],
    validation_files: [{ file: files.held }],
    training: { n_epochs: 3, batch_size: 5 },
  };
  const estimate = await bench.acme.send('POST', '/v1/fine_tuning/estimates', body);
  assert.equal(estimate.status, 200, estimate.text);
  const job = await validated(body);
  assert.deepEqual([estimate.json.steps, estimate.json.tokens], [job.estimate.steps, job.estimate.tokens]);
  assert.equal(estimate.json.steps, 9);
});

test('a file of any list is kept while its job may need it, also the same file twice and sixteen of them', async () => {
  const [a, b, c] = [
    await bench.acme.upload(lines(2, 'a')),
    await bench.acme.upload(lines(2, 'b')),
    await bench.acme.upload(lines(2, 'c')),
  ];
  const sixteen = [{ file: a! }, ...Array.from({ length: 15 }, () => ({ file: b! }))];
  const job = await validated({
    training_files: sixteen,
    validation_files: [{ file: files.held }, { file: c! }],
  });
  assert.equal(job.data.training.examples, 32);
  assert.equal(job.data.duplicates.across, 28);
  for (const file of [a, b, c])
    assertError(await bench.acme.send('DELETE', `/v1/files/${file}`), 400, 'file_in_use');
  assert.equal((await bench.acme.send('POST', `${path}/${job.id}/cancel`)).status, 200);
  for (const file of [a, b, c])
    assert.equal((await bench.acme.send('DELETE', `/v1/files/${file}`)).status, 200);
  // The list of files that the job read remains; a clone would need the files.
  assert.equal((await bench.acme.send('GET', `${path}/${job.id}`)).json.training_files.length, 16);
  assertError(
    await bench.acme.send('POST', `${path}/${job.id}/clone`, {}),
    400,
    'file_not_found',
    'training_files[0]',
  );
});

test('the request of a job and its clone have the lists; a change of one kind replaces it', async () => {
  const body = {
    training_files: [
      { file: files.six, weight: 1, epochs: 2 },
      { file: files.three, weight: 1, epochs: 1 },
    ],
    validation_files: [{ file: files.held, name: 'held' }],
  };
  const job = await validated(body);
  const request = (await bench.acme.send('GET', `${path}/${job.id}/request`)).json;
  assert.deepEqual(
    [request.training_files, request.validation_files],
    [body.training_files, body.validation_files],
  );
  assert.equal('training_file' in request, false);
  const clone = async (changes: object) =>
    (await bench.acme.send('POST', `${path}/${job.id}/clone`, changes)).json;
  assert.deepEqual((await clone({})).training_files, body.training_files);
  const single = await clone({ training_file: files.three, validation_files: null });
  assert.deepEqual(
    [single.training_file, single.training_files, single.validation_file, single.validation_files],
    [files.three, null, null, null],
  );
  const more = await clone({ training_files: [{ file: files.same }] });
  assert.deepEqual([more.training_file, more.validation_files[0].name], [files.same, 'held']);
});

test('a repeated request returns the first job, and another order of files is another request', async () => {
  const training_files = [{ file: files.six }, { file: files.three }];
  const key = { 'idempotency-key': 'several' };
  const first = await create({ training_files }, key);
  assert.equal((await create({ training_files }, key)).json.id, first.json.id);
  assertError(
    await create({ training_files: training_files.toReversed() }, key),
    422,
    'idempotency_key_reused',
  );
});

test('a key without the scope, and a viewer, create no such job', async () => {
  const body = { model: 'tiny', training_files: [{ file: files.six }, { file: files.three }] };
  const viewer = await bench.caller(bench.acme, 'viewer');
  assertError(await viewer.send('POST', path, body), 403, 'insufficient_role');
  const limited = await bench.caller(bench.acme, 'member', { models: ['other-model'] });
  assertError(await limited.send('POST', path, body), 403, 'model_not_allowed');
});

test('a job of one file of each kind has no lists', async () => {
  const job = await validated({ training_file: files.six, validation_file: files.three });
  assert.deepEqual([job.training_files, job.validation_files], [null, null]);
  assert.deepEqual(
    [job.data.training_files, job.data.validation_files, job.data.duplicates],
    [null, null, null],
  );
});
