// Checks of job requests: all errors of a new job, by field, in a successful response, and nothing is created.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setQuota } from '@graft/service/teams';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';

let bench: ApiBench;
let file: string;
before(async () => {
  bench = await openApiBench();
  file = await bench.acme.upload(`${chatLine}\n`.repeat(20));
});
after(async () => await bench?.close());

const check = async (body: object, team: Caller = bench.acme) => {
  const answer = await team.send('POST', '/v1/fine_tuning/checks', body);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};
const params = async (more: object) => {
  const { faults, plan } = await check({ model: 'tiny', training_file: file, ...more });
  assert.equal(plan, null);
  return faults.map(({ param }: { param: string }) => param);
};

test('a valid request gets the chosen options and its estimate', async () => {
  const { faults, plan } = await check({ model: 'tiny', training_file: file, training: { n_epochs: 2 } });
  assert.deepEqual(faults, []);
  assert.deepEqual([plan.steps, plan.trials, plan.peft.r, plan.training.n_epochs], [6, 1, 16, 2]);
  assert.equal(
    plan.training_reasons.max_seq_length,
    "the longest example, within the base model's context; longer texts are split",
  );
  assert.ok(!('n_epochs' in plan.training_reasons));
  const sweep = { learning_rate: [1e-4, 1e-3], r: [2, 4] };
  const training = { validation_split: 0.5, eval_steps: 1 };
  assert.equal((await check({ model: 'tiny', training_file: file, sweep, training })).plan.trials, 4);
});

test('every fault of a kind together, each by its field', async () => {
  assert.deepEqual(
    await params({ peft: { peft_type: 'LORA', r: 0, lora_dropout: 2 }, training: { n_epochs: 99 } }),
    ['peft.r', 'peft.lora_dropout', 'training.n_epochs'],
  );
  assert.deepEqual(await params({ suffix: 'a b', seed: -1 }), ['suffix', 'seed']);
  assert.deepEqual(await params({ peft: { peft_type: 'LORA', target_modules: ['q_prj'] } }), [
    'peft.target_modules',
  ]);
  assert.deepEqual(await params({ peft: { peft_type: 'LORA', r: 4000 } }), ['peft.r']);
  assert.deepEqual(await params({ training: { max_seq_length: 99_999 } }), ['training.max_seq_length']);
  assert.deepEqual(await params({ sweep: { r: [2, 4000] }, training: { validation_split: 0.2 } }), [
    'sweep.r',
  ]);
  assert.deepEqual(await params({ integrations: [{ type: 'wandb', wandb: { project: 'x' } }] }), [
    'integrations[0].type',
  ]);
  const { faults } = await check({});
  assert.deepEqual(
    faults.map(({ param }: { param: string }) => param),
    ['model', 'training_file'],
  );
});

test('a wrong model is reported before there is a file', async () => {
  const reportedFaults = async (body: object) =>
    (await check(body)).faults.map(({ code, param }: { code: string; param: string }) => [code, param]);
  const [[code]] = await reportedFaults({ model: 'tiny' });
  assert.deepEqual(await reportedFaults({ model: 'tiny' }), [[code, 'training_file']]);
  assert.deepEqual(await reportedFaults({ model: 'tinny' }), [
    ['model_not_found', 'model'],
    [code, 'training_file'],
  ]);
  assert.deepEqual(await reportedFaults({ model: 'tiny', start_from: 'ft:tiny:acme:no:abcd1234' }), [
    ['model_not_found', 'start_from'],
    [code, 'training_file'],
  ]);
  for (const model of ['', 'x'.repeat(100_000), '../x', 5, null])
    assert.equal(
      (await reportedFaults({ model })).some(([, param]: [string, string]) => param === 'model'),
      true,
    );
});

test('lines that are too long are reported as by the job', async () => {
  const long = await bench.acme.upload(chatLine.replace('"b"', JSON.stringify('word '.repeat(200))));
  const { faults } = await check({ model: 'tiny', training_file: long });
  assert.equal(faults.length, 1);
  assert.match(faults[0].message, /line 1/);
});

test("it creates nothing, knows no other team's files, and takes who may read jobs", async () => {
  const { rows } = await bench.services.sql.query('SELECT count(*)::int AS jobs FROM jobs');
  assert.deepEqual(rows, [{ jobs: 0 }]);
  const theirs = await check({ model: 'tiny', training_file: file }, bench.other);
  assert.deepEqual(theirs.faults, [
    { code: 'file_not_found', message: `No such file: ${file}`, param: 'training_file' },
  ]);
  const viewer = await bench.caller(bench.acme, 'viewer');
  assert.deepEqual((await check({ model: 'tiny', training_file: file }, viewer)).faults, []);
  const narrow = await bench.caller(bench.acme, 'member', { scopes: ['files:read'] });
  assertError(await narrow.send('POST', '/v1/fine_tuning/checks', {}), 403, 'insufficient_scope');
});

test('a quota is a fault of the field that it limits, and a body that is no object an error', async () => {
  await setQuota(bench.services, bench.acme.teamId, { methods: ['IA3'] });
  const { faults } = await check({ model: 'tiny', training_file: file });
  assert.deepEqual(faults[0].param, 'peft.peft_type');
  await setQuota(bench.services, bench.acme.teamId, { methods: null });
  for (const body of ['[]', '{', '"x"'])
    assert.equal((await bench.acme.send('POST', '/v1/fine_tuning/checks', body)).status, 400);
});

test('what peft leaves out and costs much is warned of, before the job and in its events', async () => {
  const body = { model: 'tiny', training_file: file, training: { max_seq_length: 64 } };
  const peft = { peft_type: 'LORA', r: 2 };
  const { plan } = await check({ ...body, peft });
  const wanted = ['peft.lora_alpha', 'peft.target_modules'];
  const paramsOf = (warnings: { param: string }[]) => warnings.map(({ param }) => param);
  assert.deepEqual(paramsOf(plan.warnings), wanted);
  assert.match(plan.training_reasons.lora_alpha, /as HF PEFT does.*64 learns more/);
  const estimate = await bench.acme.send('POST', '/v1/fine_tuning/estimates', { ...body, peft });
  assert.deepEqual(paramsOf(estimate.json.warnings), wanted);

  const job = await bench.acme.send('POST', '/v1/fine_tuning/jobs', { ...body, peft });
  assert.deepEqual([job.json.peft.lora_alpha, job.json.peft.target_modules], [8, null]);
  const events = await bench.acme.send('GET', `/v1/fine_tuning/jobs/${job.json.id}/events`);
  const warned = events.json.data.filter(({ level }: { level: string }) => level === 'warn');
  assert.match(warned.map(({ message }: { message: string }) => message).join(), /lora_alpha is left out/);
  assert.equal(warned.length, 2);
  await bench.untilState(job.json.id, 'queued');
  const reasons = (await bench.acme.send('GET', `/v1/fine_tuning/jobs/${job.json.id}`)).json.training_reasons;
  assert.match(reasons.target_modules, /"all-linear" learns more/);

  // No warning if Graft chooses the values, which the job then has.
  for (const [given, r] of [
    [{ peft_type: 'LORA' }, 16],
    [{ ...peft, lora_alpha: 'auto', target_modules: 'auto' }, 2],
  ] as const) {
    const chosen = (await check({ ...body, peft: given })).plan;
    assert.deepEqual(chosen.warnings, []);
    const { r: rank, lora_alpha, target_modules } = chosen.peft;
    assert.deepEqual([rank, lora_alpha, target_modules], [r, 64, 'all-linear']);
  }
});

test('a run from an adapter takes half the rate', async () => {
  const { version } = await publishAdapter(bench, bench.acme, 'continued');
  const fresh = (await check({ model: 'tiny', training_file: file, peft: version.peft })).plan.training;
  const { training, training_reasons } = (
    await check({ model: 'tiny', training_file: file, start_from: version.modelName })
  ).plan;
  assert.ok(training.learning_rate <= fresh.learning_rate / 2, `${training.learning_rate}`);
  assert.match(training_reasons.learning_rate, /where an adapter is continued/);
});
