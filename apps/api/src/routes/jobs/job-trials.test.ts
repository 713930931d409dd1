// Requests for sweeps: their trials, estimates and errors. apps/worker tests how they are trained.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { rungsOf, sweepSteps } from '@graft/peft-core/config';
import { getJob, type TrialState } from '@graft/service/jobs';
import { setQuota } from '@graft/service/teams';
import { assertError } from '../../testing/assert-error.ts';
import { type JobRequests, jobRequests, jobsPath as path } from '../../testing/job-requests.ts';
import { type ApiBench, chatLine, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';

let bench: ApiBench;
let file: string;
let create: JobRequests['create'];
let refuses: JobRequests['refuses'];
before(async () => {
  bench = await openApiBench();
  // Each with a separate prompt, since a split keeps examples with the same prompt together.
  const lines = Array.from({ length: 40 }, (_, i) => chatLine.replace('"content":"', `"content":"${i} `));
  file = await bench.acme.upload(lines.join('\n'));
  ({ create, refuses } = jobRequests(bench, file));
});
after(async () => await bench?.close());

const training = { validation_split: 0.1, n_epochs: 2, batch_size: 1, max_seq_length: 64 };
const trialsOf = async (id: string) => {
  const answer = await bench.acme.send('GET', `${path}/${id}/trials`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json.data;
};

describe('a sweep', () => {
  const peft = { peft_type: 'LORA', lora_alpha: 4, target_modules: ['q_proj'] };
  const sweep = { learning_rate: [1e-4, 1e-3], r: [2, 4] };

  test('is one job with its trials, which are resolved with its files, and counts the steps of all', async () => {
    const answer = await create({ peft, training, sweep, seed: 5 });
    assert.equal(answer.status, 200, answer.text);
    const { id } = answer.json;
    assert.deepEqual(answer.json.sweep, sweep);
    assert.equal(answer.json.peft.r, 2);
    await bench.untilState(id, 'queued');
    const trials = await trialsOf(id);
    assert.deepEqual(
      trials.map((each: { trial: number; peft: { r: number; lora_alpha: number }; training: object }) => [
        each.trial,
        each.peft.r,
        each.peft.lora_alpha,
        (each.training as { learning_rate: number }).learning_rate,
      ]),
      [
        [1, 2, 4, 1e-4],
        [2, 2, 4, 1e-3],
        [3, 4, 4, 1e-4],
        [4, 4, 4, 1e-3],
      ],
    );
    for (const { object, status, step, rungs, training: fixed } of trials) {
      assert.deepEqual([object, status, step, rungs], ['fine_tuning.job.trial', 'waiting', 0, []]);
      // 36 examples, two epochs, evaluated at each quarter.
      assert.deepEqual([fixed.seed, fixed.eval_steps], [5, 18]);
    }
    const steps = sweepSteps(4, rungsOf(4, 72, 18));
    const job = (await bench.acme.send('GET', `${path}/${id}`)).json;
    assert.equal(job.estimate.steps, steps);
    const row = (await getJob(bench.services, bench.acme.teamId, id))!;
    const alone = await create({ peft, training: { ...training, eval_steps: 18 } });
    await bench.untilState(alone.json.id, 'queued');
    const plain = (await getJob(bench.services, bench.acme.teamId, alone.json.id))!;
    assert.equal(row.plannedTokens, Math.ceil((plain.plannedTokens! * steps) / 72));
    assert.equal(row.estimate?.tokens, Math.round((plain.estimate!.tokens * steps) / 72));
    assert.equal(row.estimate?.trainableParameters, 2 * (await parametersOf(2)));
    assert.equal(alone.json.sweep, null);
    assert.deepEqual(await trialsOf(alone.json.id), []);
  });

  const parametersOf = async (r: number) => {
    const body = { model: 'tiny', training_file: file, peft: { ...peft, r }, training };
    return (await bench.acme.send('POST', '/v1/fine_tuning/estimates', body)).json.trainable_parameters;
  };

  test('is estimated as it is created, and refused as it is', async () => {
    const body = { model: 'tiny', training_file: file, peft, training, sweep };
    const estimate = await bench.acme.send('POST', '/v1/fine_tuning/estimates', body);
    assert.equal(estimate.status, 200, estimate.text);
    assert.equal(estimate.json.steps, sweepSteps(4, rungsOf(4, 72, 18)));
    const bad = await bench.acme.send('POST', '/v1/fine_tuning/estimates', { ...body, sweep: { r: [2] } });
    assertError(bad, 400, 'invalid_sweep', 'sweep');
  });

  test('over methods has each with its usual options, and its own learning rate', async () => {
    const answer = await create({ training, sweep: { peft_type: ['LORA', 'IA3', 'PROMPT_TUNING'] } });
    assert.equal(answer.status, 200, answer.text);
    await bench.untilState(answer.json.id, 'queued');
    const trials = await trialsOf(answer.json.id);
    assert.deepEqual(
      trials.map((each: { peft: { peft_type: string } }) => each.peft.peft_type),
      ['LORA', 'IA3', 'PROMPT_TUNING'],
    );
    const rates = trials.map((each: { training: { learning_rate: number } }) => each.training.learning_rate);
    assert.equal(new Set(rates).size, 3);
  });

  test('is cloned as requested; with other values; and as a plain job', async () => {
    const { json: job } = await create({ peft, training, sweep });
    const clone = async (changes: object) => {
      const answer = await bench.acme.send('POST', `${path}/${job.id}/clone`, changes);
      assert.equal(answer.status, 200, answer.text);
      return { ...answer.json, trials: await trialsOf(answer.json.id) };
    };
    const same = await clone({});
    assert.deepEqual(same.sweep, sweep);
    // Validation completes the options of the trials.
    for (const { id } of [job, same]) await bench.untilState(id, 'queued');
    assert.deepEqual(await trialsOf(same.id), await trialsOf(job.id));
    const other = await clone({ sweep: { r: [8, 16] }, peft: { lora_alpha: 32 } });
    assert.deepEqual(
      other.trials.map((each: { peft: { r: number; lora_alpha: number } }) => [
        each.peft.r,
        each.peft.lora_alpha,
      ]),
      [
        [8, 32],
        [16, 32],
      ],
    );
    const plain = await clone({ sweep: null });
    assert.deepEqual([plain.sweep, plain.trials, plain.peft.r], [null, [], 2]);
    const into = await bench.acme.send('POST', `${path}/${plain.id}/clone`, { sweep });
    assert.equal(into.status, 200, into.text);
    assert.equal((await trialsOf(into.json.id)).length, 4);
  });

  test('with equal losses says that a stopped trial tied with an earlier one, and was not worse', async () => {
    const { json: job } = await create({ peft, training, sweep });
    const at = (loss: number | null) => [{ step: 24, loss }];
    const state = (trial: number, status: TrialState['status'], rungs: TrialState['rungs']) => ({
      trial,
      status,
      step: rungs.at(-1)!.step,
      rungs,
    });
    const record = async (trials: TrialState[]) => {
      for (const { trial, ...data } of trials)
        await bench.services.db.jobTrial.updateMany({ where: { jobId: job.id, trial }, data });
    };
    const ties = async () =>
      (await trialsOf(job.id)).map(({ tied_with }: { tied_with: number | null }) => tied_with);
    await record([
      state(1, 'stopped', at(3)),
      state(2, 'waiting', at(2)),
      state(3, 'stopped', at(2)),
      state(4, 'stopped', at(2.5)),
    ]);
    assert.deepEqual(await ties(), [null, null, 2, null]);
    // That the second trial continued and stopped later does not matter; a loss that is not a number ties with nothing.
    const later = [...at(2), { step: 72, loss: 9 }];
    await record([
      state(1, 'stopped', at(null)),
      state(2, 'stopped', later),
      state(3, 'stopped', at(2)),
      state(4, 'stopped', at(null)),
    ]);
    assert.deepEqual(await ties(), [null, null, 2, null]);
  });

  test('of another team answers as an unknown job', async () => {
    const { json: job } = await create({ peft, training, sweep });
    assertError(await bench.other.send('GET', `${path}/${job.id}/trials`), 404, 'job_not_found');
    assertError(await bench.acme.send('GET', `${path}/ftjob-none/trials`), 404, 'job_not_found');
  });
});

describe('what is refused, before there is a job', () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => (i + 1) / 1000);
  const table: [string, object, string, string][] = [
    ['no object', { sweep: 'all' }, 'invalid_sweep', 'sweep'],
    ['an unknown field', { sweep: { lr: [1e-3, 1e-4] } }, 'unknown_sweep_option', 'sweep.lr'],
    ['no list', { sweep: { r: 8 } }, 'invalid_sweep', 'sweep.r'],
    ['an empty list', { sweep: { r: [] } }, 'invalid_sweep', 'sweep.r'],
    ['a wrong value', { sweep: { learning_rate: [1e-3, 2] } }, 'invalid_sweep', 'sweep.learning_rate'],
    ['an unknown method', { sweep: { peft_type: ['LORA', 'DORA'] } }, 'invalid_sweep', 'sweep.peft_type'],
    ['a value twice', { sweep: { r: [8, 8] } }, 'invalid_sweep', 'sweep.r'],
    ['one trial', { sweep: { r: [8] } }, 'invalid_sweep', 'sweep'],
    ['too many', { sweep: { learning_rate: many(11), r: [2, 4, 8] } }, 'invalid_sweep', 'sweep'],
    ['a list of thousands', { sweep: { learning_rate: many(5000) } }, 'invalid_sweep', 'sweep.learning_rate'],
    ['ranks of none', { peft: { peft_type: 'IA3' }, sweep: { r: [2, 4] } }, 'invalid_sweep', 'sweep.r'],
    ['a rank beyond all', { sweep: { r: [4, 100_000] } }, 'invalid_peft_config', 'sweep.r'],
    ['a rank too large for the model', { sweep: { r: [4, 1000] } }, 'rank_too_large', 'sweep.r'],
    [
      'a method that this model cannot have',
      { peft: { peft_type: 'LORA' }, sweep: { peft_type: ['LORA', 'TRAINABLE_TOKENS'] } },
      'invalid_sweep',
      'sweep.peft_type',
    ],
    ['no validation data', { training: {}, sweep: { r: [2, 4] } }, 'invalid_sweep', 'sweep'],
    [
      'patience',
      { training: { ...training, early_stopping_patience: 1, eval_steps: 2 }, sweep: { r: [2, 4] } },
      'invalid_training_option',
      'training.early_stopping_patience',
    ],
    [
      'measured at the end alone',
      { training: { ...training, eval_steps: 1000 }, sweep: { r: [2, 4, 6, 8, 10] } },
      'invalid_training_option',
      'training.eval_steps',
    ],
    [
      'a rate besides',
      { training: { ...training, learning_rate: 0.5 }, sweep: { learning_rate: [1e-3, 1e-4] } },
      'invalid_sweep',
      'sweep.learning_rate',
    ],
    [
      'a multiplier besides',
      {
        method: { type: 'supervised', supervised: { hyperparameters: { learning_rate_multiplier: 2 } } },
        sweep: { learning_rate: [1e-3, 1e-4] },
      },
      'invalid_sweep',
      'sweep.learning_rate',
    ],
  ];
  for (const [what, body, code, param] of table)
    test(what, async () => {
      const words = await refuses({ training, ...body }, code, param);
      assert.ok(words.includes(param), words);
    });

  test('another rank than that of the adapter to continue from', async () => {
    const { version } = await publishAdapter(bench, bench.acme, 'start');
    const body = { start_from: version.modelName, training, sweep: { r: [2, 4] } };
    await refuses(body, 'invalid_sweep', 'sweep.r');
    const rates = await create({ ...body, sweep: { learning_rate: [1e-3, 1e-4] } });
    assert.equal(rates.status, 200, rates.text);
  });

  test('what the operator does not let the team have', async () => {
    const { services, acme } = bench;
    try {
      await setQuota(services, acme.teamId, { methods: ['LORA'] });
      const methods = await create({ training, sweep: { peft_type: ['LORA', 'IA3'] } });
      assertError(methods, 403, 'method_not_permitted', 'sweep.peft_type');
      await setQuota(services, acme.teamId, { methods: null, maxRank: 8 });
      const ranks = await create({ training, sweep: { r: [8, 16] } });
      const words = assertError(ranks, 403, 'quota_exceeded', 'sweep.r');
      assert.match(words, /^sweep\.r: trial 2 \(LORA, r 16\): Quota of ranks: the job asks for 16/);
    } finally {
      await setQuota(services, acme.teamId, { methods: null, maxRank: null });
    }
  });
});
