// Jobs that learn from preferences: what is refused and when, what is stored, and what is cloned.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from '../../testing/assert-error.ts';
import { type JobRequests, jobRequests, jobsPath as path } from '../../testing/job-requests.ts';
import { type ApiBench, chatLine, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';

const pair = (i: number) => ({ prompt: `Which ${i}?`, chosen: ` good ${i}`, rejected: ` bad ${i}` });
const lines = (all: object[]) => all.map((each) => JSON.stringify(each)).join('\n');
const pairs = lines(Array.from({ length: 8 }, (_, i) => pair(i)));
const judged = (labels: boolean[]) =>
  lines(labels.map((label, i) => ({ prompt: `Which ${i}?`, completion: ` answer ${i}`, label })));

let bench: ApiBench;
let onPairs: JobRequests;
let onChats: JobRequests;
before(async () => {
  bench = await openApiBench();
  onPairs = jobRequests(bench, await bench.acme.upload(pairs));
  onChats = jobRequests(bench, await bench.acme.upload(chatLine));
});
after(async () => await bench?.close());

const dpo = (hyperparameters: object = {}) => ({ method: { type: 'dpo', dpo: { hyperparameters } } });
const read = async (id: string, what = '') => (await bench.acme.send('GET', `${path}/${id}${what}`)).json;

/** The error of a job that fails in validation. */
async function failure(requests: JobRequests, more: object) {
  const { json, text, status } = await requests.create(more);
  assert.equal(status, 200, text);
  await bench.untilState(json.id, 'failed');
  return (await read(json.id)).error;
}

async function queued(requests: JobRequests, more: object) {
  const { json, text, status } = await requests.create(more);
  assert.equal(status, 200, text);
  await bench.untilState(json.id, 'queued');
  return await read(json.id);
}

test('a job of OpenAI’s form shows its method and beta everywhere, before and after validation', async () => {
  const { json: created } = await onPairs.create(dpo({ beta: 0.2, n_epochs: 'auto' }));
  assert.equal(created.method.type, 'dpo');
  assert.equal(created.method.dpo.hyperparameters.beta, 0.2);
  await bench.untilState(created.id, 'queued');
  const job = await read(created.id);
  assert.deepEqual(job.method, { type: 'dpo', dpo: { hyperparameters: job.hyperparameters } });
  assert.equal(job.hyperparameters.beta, 0.2);
  assert.deepEqual(job.training.preference, { beta: 0.2, loss_type: 'sigmoid' });
  assert.match(job.training_reasons.learning_rate, /for the method dpo/);
  assert.equal(job.data.training.examples, 8);
  const listed = (await bench.acme.send('GET', path)).json.data.find(
    ({ id }: { id: string }) => id === job.id,
  );
  assert.deepEqual(listed.method, job.method);
  const reset = await queued(onPairs, dpo({ beta: 'auto' }));
  assert.equal(reset.hyperparameters.beta, 0.1);
});

test('without a method dpo trains on pairs, and kto on judged completions', async () => {
  const job = await queued(onPairs, {});
  assert.equal(job.method.type, 'dpo');
  assert.deepEqual((await read(job.id, '/request')).method, { type: 'dpo', dpo: { hyperparameters: {} } });
  const thumbs = jobRequests(bench, await bench.acme.upload(judged([true, false, true, false])));
  assert.equal((await queued(thumbs, {})).method.type, 'kto');
  const { json: estimate } = await bench.acme.send('POST', `${path}/estimate`, {
    model: 'tiny',
    training_file: job.training_file,
  });
  assert.deepEqual(estimate.training?.preference ?? job.training.preference, {
    beta: 0.1,
    loss_type: 'sigmoid',
  });
});

test('refused at creation, with the field and what to do', async () => {
  const one = await onChats.refuses(dpo(), 'unsupported_method', 'method.type');
  assert.match(one, /"dpo" does not train on lines of the format chat; use supervised, or a file with lines/);
  const supervised = { method: { type: 'supervised' } };
  const two = await onPairs.refuses(supervised, 'unsupported_method', 'method.type');
  assert.match(two, /"supervised" does not train on lines of the format preference; use dpo/);
  const three = await onPairs.refuses(
    { method: { type: 'dpo', dpo: {}, supervised: {} } },
    'unsupported_method',
    'method.supervised',
  );
  assert.match(three, /options of another method than method\.type, "dpo"/);
  for (const beta of [0, -1]) {
    const at = 'method.dpo.hyperparameters.beta';
    assert.match(await onPairs.refuses(dpo({ beta }), 'invalid_value', at), /must be > 0/);
    const training = { preference: { beta } };
    const text = await onPairs.refuses({ training }, 'invalid_training_option', 'training.preference.beta');
    assert.match(text, /must be "auto" or a number above 0/);
  }
  const both = { ...dpo({ beta: 0.2 }), training: { preference: { beta: 0.3 } } };
  await onPairs.refuses(both, 'invalid_training_option', 'training.preference.beta');
  const gamma = { ...dpo(), training: { preference: { simpo_gamma: 1 } } };
  await onPairs.refuses(gamma, 'invalid_training_option', 'training.preference.simpo_gamma');
  const beside = { training: { preference: { beta: 0.1 } } };
  const six = await onChats.refuses(beside, 'invalid_training_option', 'training.preference');
  assert.match(six, /the job's method is supervised; set method\.type, or leave it out/);
  const classifier = { peft: { peft_type: 'LORA', task_type: 'SEQ_CLS' } };
  const seven = await onPairs.refuses({ ...dpo(), ...classifier }, 'data_unfit_for_task', 'training_file');
  assert.match(seven, /task_type SEQ_CLS learns from/);
  const validation_file = await bench.acme.upload(pairs);
  const sweep = { validation_file, sweep: { beta: [0.1, 0.3] } };
  const eight = await onPairs.refuses(sweep, 'invalid_sweep', 'sweep.beta');
  assert.match(eight, /set training\.metric_for_best_model to another metric/);
  const chats = {
    validation_file: await bench.acme.upload(chatLine),
    training: { metric_for_best_model: 'eval_accuracy' },
  };
  const nine = await onChats.refuses(
    { ...chats, sweep: sweep.sweep },
    'invalid_training_option',
    'sweep.beta',
  );
  assert.match(nine, /the job's method is supervised/);
  const reward = { training: { metric_for_best_model: 'rewards_accuracy' } };
  const ten = await onChats.refuses(reward, 'invalid_training_option', 'training.metric_for_best_model');
  assert.match(ten, /eval_rewards_accuracy is not measured of/);
  const kto = { method: { type: 'kto' }, training: { batch_size: 1 } };
  await onPairs.refuses(kto, 'invalid_training_option', 'training.batch_size');
});

test('bad lines are listed in the upload and in the job', async () => {
  const same = lines([pair(1), { ...pair(2), rejected: pair(2).chosen }, { ...pair(3), chosen: '' }]);
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', new File([same], 'same.jsonl'));
  const refused = assertError(await bench.acme.send('POST', '/v1/files', form), 400, 'invalid_jsonl', 'file');
  assert.match(refused, /line 2 .*"chosen" and "rejected" are the same/);
  assert.match(refused, /line 3 .*"chosen" is empty/);
  // Both completions are cut to the same tokens; nothing of them is left.
  const long = 'x'.repeat(40);
  const cut = [
    pair(1),
    { prompt: 'a', chosen: `${long}1`, rejected: `${long}2` },
    { prompt: long, chosen: '1', rejected: '2' },
  ];
  const requests = jobRequests(bench, await bench.acme.upload(lines(cut)));
  const training = { max_seq_length: 32, overlong: 'truncate' };
  const skipped = await queued(requests, { training });
  assert.deepEqual([skipped.data.training.examples, skipped.data.training.skipped], [1, 2]);
  const error = await failure(requests, { training: { max_seq_length: 32 } });
  assert.match(error.message, /line 2 has \d+ tokens; the limit \(max_seq_length\) is 32/);
});

test('a file of judged completions with one label is refused in validation', async () => {
  const thumbs = jobRequests(bench, await bench.acme.upload(judged([true, true, true])));
  const error = await failure(thumbs, { method: { type: 'kto' } });
  assert.deepEqual([error.code, error.param], ['data_unfit_for_task', 'training_file']);
  assert.match(error.message, /every completion has the label true; .*add completions with the label false/);
});

test('lines that are found to be pairs only in validation need method.type', async () => {
  // Columns of the job's own may read a file in another format than that of its upload.
  const rows = lines([
    { text: 'a', question: 'Which?', good: ' A 32.', bad: ' Any.' },
    { text: 'b', question: 'What?', good: ' A tube.', bad: ' No.' },
  ]);
  const requests = jobRequests(bench, await bench.acme.upload(rows));
  const training = { columns: { prompt: 'question', chosen: 'good', rejected: 'bad' } };
  const error = await failure(requests, { training });
  assert.deepEqual([error.code, error.param], ['unsupported_method', 'method.type']);
  assert.match(error.message, /use dpo/);
  const job = await queued(requests, { ...dpo(), training });
  assert.equal(job.method.type, 'dpo');
});

test('a version of another base is no start', async () => {
  const { version } = await publishAdapter(bench, bench.acme, 'start', 'CAUSAL_LM', pairs);
  await bench.services.sql.query(
    `UPDATE adapters SET base_model = 'other' WHERE id = '${version.adapterId}'`,
  );
  const text = await onPairs.refuses({ ...dpo(), start_from: version.id }, 'invalid_start', 'start_from');
  assert.match(text, /is an adapter of other, not of tiny/);
});

test('a clone and the request of a job keep method, beta and preference; changes apply to them', async () => {
  const simpo = { method: { type: 'simpo', simpo: { hyperparameters: { beta: 3 } } } };
  const training = { preference: { simpo_gamma: 1 }, n_epochs: 2 };
  const job = await queued(onPairs, { ...simpo, training });
  const request = await read(job.id, '/request');
  assert.deepEqual(request.method, simpo.method);
  assert.deepEqual(request.training, training);
  const clone = async (changes: object) => {
    const answer = await bench.acme.send('POST', `${path}/${job.id}/clone`, changes);
    assert.equal(answer.status, 200, answer.text);
    const { id, method } = answer.json;
    await bench.untilState(id, 'queued');
    return [method.type, (await read(id)).training.preference];
  };
  assert.deepEqual(await clone({}), ['simpo', { beta: 3, simpo_gamma: 1, cpo_alpha: 0 }]);
  const trainingChange = { training: { preference: { beta: 4 } } };
  assert.deepEqual(await clone(trainingChange), ['simpo', { beta: 4, simpo_gamma: 1, cpo_alpha: 0 }]);
  const methodChange = { method: { type: 'simpo', simpo: { hyperparameters: { beta: 5 } } } };
  assert.deepEqual(await clone(methodChange), ['simpo', { beta: 5, simpo_gamma: 1, cpo_alpha: 0 }]);
  // The options of another method start from their defaults.
  assert.deepEqual(await clone({ method: { type: 'orpo' } }), ['orpo', { beta: 0.1 }]);
});

test('a sweep of beta is cloned as it is, with a beta of the clone, or without a sweep', async () => {
  const job = await queued(onPairs, {
    validation_file: await bench.acme.upload(pairs),
    sweep: { beta: [0.1, 0.3] },
    training: { metric_for_best_model: 'rewards_accuracy', preference: { loss_type: 'ipo' } },
  });
  assert.equal(job.training.metric_for_best_model, 'eval_rewards_accuracy');
  const betas = async (id: string) =>
    (await read(id, '/trials')).data.map((trial: typeof job) => trial.training.preference);
  const expected = [
    { beta: 0.1, loss_type: 'ipo' },
    { beta: 0.3, loss_type: 'ipo' },
  ];
  assert.deepEqual(await betas(job.id), expected);
  const clone = async (changes: object) => {
    const answer = await bench.acme.send('POST', `${path}/${job.id}/clone`, changes);
    assert.equal(answer.status, 200, answer.text);
    await bench.untilState(answer.json.id, 'queued');
    return await read(answer.json.id);
  };
  assert.deepEqual(await betas((await clone({})).id), expected);
  const plain = await clone({ sweep: null, ...dpo({ beta: 0.5 }) });
  assert.deepEqual(plain.training.preference, { beta: 0.5, loss_type: 'ipo' });
  // The sweep of a clone replaces the beta of its job.
  const answer = await bench.acme.send('POST', `${path}/${plain.id}/clone`, { sweep: { beta: [1, 2] } });
  assert.equal(answer.status, 200, answer.text);
});
