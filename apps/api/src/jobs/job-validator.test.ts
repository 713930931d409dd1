// Jobs whose files are read after they were created.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { claimValidation } from '@graft/service/jobs';
import { type JobRequests, jobRequests, jobsPath as path } from '../testing/job-requests.ts';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';

let bench: ApiBench;
let create: JobRequests['create'];
let refuses: JobRequests['refuses'];
before(async () => {
  bench = await openApiBench();
  ({ create, refuses } = jobRequests(bench, await bench.acme.upload(chatLine)));
});
after(async () => await bench?.close());

test('examples that are too long fail the job with every line', async () => {
  const long = (text: string) => JSON.stringify({ prompt: 'p', completion: text });
  const lines = [long('fine'), long('x'.repeat(80)), long('fine'), long('y'.repeat(90))].join('\n');
  const training_file = await bench.acme.upload(lines);
  const answer = await create({ training_file });
  assert.equal(answer.json.status, 'validating_files');
  await bench.untilState(answer.json.id, 'failed');
  const job = (await bench.acme.send('GET', `${path}/${answer.json.id}`)).json;
  assert.equal(job.status, 'failed');
  assert.equal(typeof job.finished_at, 'number');
  const { error } = job;
  assert.deepEqual(
    [error.code, error.param, error.fault],
    ['invalid_training_file', 'training_file', 'user'],
  );
  assert.match(error.message, /line 2 has \d+ tokens.*\(the same fault in line 4\)/);
  assert.doesNotMatch(error.message, /line [13] /);

  const validation = await create({ validation_file: training_file });
  await bench.untilState(validation.json.id, 'failed');
  const failed = (await bench.acme.send('GET', `${path}/${validation.json.id}`)).json;
  assert.deepEqual([failed.error.code, failed.error.param], ['invalid_validation_file', 'validation_file']);
});

test('of more than a hundred bad examples the fault is described once, with every line', async () => {
  const long = (text: string) => JSON.stringify({ prompt: 'p', completion: text });
  const bad = Array.from({ length: 130 }, () => long('x'.repeat(80)));
  const training_file = await bench.acme.upload([...bad, long('fine'), long('x'.repeat(80))].join('\n'));
  const answer = await create({ training_file });
  await bench.untilState(answer.json.id, 'failed');
  const { error } = (await bench.acme.send('GET', `${path}/${answer.json.id}`)).json;
  assert.equal(error.code, 'invalid_training_file');
  assert.match(
    error.message,
    /^line 1 has \d+ tokens; the limit \(max_seq_length\) is \d+ \(the same fault in lines 2-130, 132\): 131 bad lines in all$/,
  );
  const [fault, ...others] = error.details;
  assert.deepEqual(others, []);
  assert.deepEqual(
    [fault.line, fault.count, fault.lines],
    [
      1,
      131,
      [
        [1, 130],
        [132, 132],
      ],
    ],
  );
  // The cached result has the details too.
  const again = await create({ training_file });
  await bench.untilState(again.json.id, 'failed');
  assert.deepEqual((await bench.acme.send('GET', `${path}/${again.json.id}`)).json.error, error);
});

test('examples without a token to learn fail the job with every line', async () => {
  // Text that is all end-of-text: only the model's tokenizer knows that nothing is left.
  const files = {
    'its text has only one token, and the targets are the tokens after the first': [
      '{"text":"fine"}',
      '{"text":"</s>"}',
      '{"text":"</s>"}',
    ],
    'its completion has no token after another': [
      '{"prompt":"","completion":"fine"}',
      '{"prompt":"","completion":"</s>"}',
    ],
  };
  for (const [why, lines] of Object.entries(files)) {
    const { json } = await create({
      training_file: await bench.acme.upload(lines.join('\n')),
      // In a completion it would be plain text otherwise.
      training: { allow_special_tokens: true },
    });
    await bench.untilState(json.id, 'failed');
    const { error, fine_tuned_model } = (await bench.acme.send('GET', `${path}/${json.id}`)).json;
    assert.deepEqual([error.code, error.fault], ['invalid_training_file', 'user']);
    const others = lines.length > 2 ? ' (the same fault in line 3): 2 bad lines in all' : '';
    assert.equal(error.message, `line 2 has no target tokens: ${why}${others}`);
    assert.equal(fine_tuned_model, null);
  }
});

test('every task takes its own kind of data, and no other', async () => {
  const lines: Record<string, object[]> = {
    SEQ_CLS: [
      { text: 'a', label: 'x' },
      { text: 'b', label: 'y' },
    ],
    TOKEN_CLS: [{ tokens: ['a', 'b'], labels: [0, 1] }],
    FEATURE_EXTRACTION: [
      { anchor: 'a', positive: 'b' },
      { anchor: 'c', positive: 'd' },
    ],
  };
  for (const [task, examples] of Object.entries(lines)) {
    const training_file = await bench.acme.upload(examples.map((each) => JSON.stringify(each)).join('\n'));
    const peft = { peft_type: 'LORA', task_type: task };
    const answer = await create({ training_file, peft });
    assert.equal(answer.status, 200, answer.text);
    await bench.untilState(answer.json.id, 'queued');
    const message = await refuses({ peft }, 'data_unfit_for_task', 'training_file');
    assert.match(message, new RegExp(`task_type ${task} learns from .*, but the file has {"messages"}`));
    const other = { task_type: 'CAUSAL_LM' };
    await refuses({ training_file, peft: other }, 'data_unfit_for_task', 'training_file');
    for (const left of [{}, { peft: {} }, { peft: { r: 4, task_type: null } }]) {
      const { json, text } = await create({ training_file, ...left });
      assert.ok(json.peft, text);
      assert.deepEqual([json.peft.peft_type, json.peft.task_type], ['LORA', task], JSON.stringify(left));
      if (left.peft?.r) assert.equal(json.peft.r, 4);
    }
    await refuses({ validation_file: training_file }, 'data_unfit_for_task', 'validation_file');
  }
  await refuses({ peft: { peft_type: 'LORA', task_type: 'SEQ_2_SEQ_LM' } }, 'data_unfit_for_task');
});

test('pairs without target tokens fail the job; other options train on the same file', async () => {
  const peft = { peft_type: 'LORA', task_type: 'FEATURE_EXTRACTION' };
  const upload = async (...pairs: [string, string][]) =>
    await bench.acme.upload(
      pairs.map(([anchor, positive]) => JSON.stringify({ anchor, positive })).join('\n'),
    );
  const ends = async (training_file: string, training: object, state: 'failed' | 'queued') => {
    const answer = await create({ peft, training_file, training });
    assert.equal(answer.status, 200, answer.text);
    await bench.untilState(answer.json.id, state);
    return (await bench.acme.send('GET', `${path}/${answer.json.id}`)).json;
  };
  const same = await ends(await upload(['a', 'b'], ['c', 'b']), {}, 'failed');
  assert.deepEqual(
    [same.error.code, same.error.param, same.error.fault],
    ['data_unfit_for_task', 'training_file', 'user'],
  );
  const file = await upload(['a', 'b'], ['c', 'd'], ['e', 'f']);
  const single = await ends(file, { batch_size: 1 }, 'failed');
  assert.deepEqual(
    [single.error.code, single.error.param],
    ['invalid_training_option', 'training.batch_size'],
  );
  const job = await ends(file, { batch_size: 2, mini_batch_size: 1 }, 'queued');
  assert.deepEqual([job.training.batch_size, job.training.mini_batch_size], [2, 1]);
  const automatic = await ends(file, {}, 'queued');
  assert.deepEqual([automatic.training.batch_size, automatic.training.mini_batch_size], [3, null]);
  await refuses(
    { peft, training_file: file, training: { mini_batch_size: 0 } },
    'invalid_training_option',
    'training.mini_batch_size',
  );
  await refuses({ training: { mini_batch_size: 2 } }, 'invalid_training_option', 'training.mini_batch_size');
});

test("labels that make no classes, or are not the training file's, fail the job", async () => {
  const upload = async (...labels: (string | number)[]) =>
    await bench.acme.upload(labels.map((label) => JSON.stringify({ text: 'a', label })).join('\n'));
  const peft = { peft_type: 'LORA', task_type: 'SEQ_CLS' };
  const failed = async (body: object) => {
    const answer = await create({ peft, ...body });
    await bench.untilState(answer.json.id, 'failed');
    return (await bench.acme.send('GET', `${path}/${answer.json.id}`)).json.error;
  };
  const same = await failed({ training_file: await upload('x', 'x') });
  assert.deepEqual([same.code, same.fault], ['invalid_labels', 'user']);
  const training_file = await upload('x', 'y');
  const unknown = await failed({ training_file, validation_file: await upload('x', 'z') });
  assert.deepEqual([unknown.code, unknown.param], ['invalid_validation_file', 'validation_file']);
  assert.match(unknown.message, /line 2 has the label "z"/);
});

test('a job whose validating process died is picked up', async () => {
  const { json } = await create({ metadata: { unique: 'orphan' } });
  await bench.untilState(json.id, 'queued');
  // As a process that died leaves it: claimed, with an expired lease.
  await bench.services.sql.query(
    "UPDATE jobs SET state = 'validating', resolved_training = NULL, lease_until = now() - interval '1 s' WHERE id = $1",
    [json.id],
  );
  await bench.untilState(json.id, 'queued');
  assert.equal(await claimValidation(bench.services, { workerId: 'test', leaseSeconds: 60 }), null);
});
