import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { leaseOf, recordCheckpoint, recordMetrics, recordProgress } from '@graft/service/jobs';
import { assertError } from '../../testing/assert-error.ts';
import { type JobRequests, jobRequests, jobsPath as path } from '../../testing/job-requests.ts';
import { type ApiBench, chatLine, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';
import { runJob } from '../../testing/run-job.ts';

let bench: ApiBench;
let file: string;
let create: JobRequests['create'];
before(async () => {
  bench = await openApiBench();
  file = await bench.acme.upload(`${chatLine}\n`.repeat(3));
  ({ create } = jobRequests(bench, file));
});
after(async () => await bench?.close());

describe('reading and steering jobs', () => {
  test('lists newest first, by page and by metadata', async () => {
    const team = bench.other;
    const training_file = await team.upload(chatLine);
    const made: string[] = [];
    for (const run of ['a', 'b', 'a']) {
      const body = { model: 'tiny', training_file, metadata: { run, all: 'x' } };
      made.unshift((await team.send('POST', path, body)).json.id);
    }
    const ids = (list: { data: { id: string }[] }) => list.data.map((job) => job.id);
    const list = async (query: string) => (await team.send('GET', `${path}?${query}`)).json;
    const mine = ids(await list('metadata[all]=x'));
    assert.deepEqual(mine, made);
    const first = await list('limit=2&metadata[all]=x');
    assert.deepEqual([ids(first), first.has_more], [made.slice(0, 2), true]);
    const rest = await list(`limit=2&metadata[all]=x&after=${first.last_id}`);
    assert.deepEqual([ids(rest), rest.has_more], [made.slice(2), false]);
    assert.deepEqual(ids(await list('metadata%5Brun%5D=a&metadata[all]=x')), [made[0], made[2]]);
    assert.deepEqual(ids(await list('metadata[run]=none')), []);
    assertError(await team.send('GET', `${path}?metadata=x`), 400, 'invalid_value', 'metadata');
    assertError(await team.send('GET', `${path}?after=ftjob-none`), 400, 'invalid_cursor', 'after');
  });

  test("another team's job is as unknown as none", async () => {
    const { json: job } = await create();
    const unknown = `ftjob-${'x'.repeat(24)}`;
    const paths = [
      ...['', '/events', '/events?stream=true', '/checkpoints', '/metrics'].map(
        (tail) => ['GET', tail] as const,
      ),
      ...['/cancel', '/pause', '/resume'].map((tail) => ['POST', tail] as const),
    ];
    for (const [method, tail] of paths) {
      const foreign = await bench.other.send(method, `${path}/${job.id}${tail}`);
      const none = await bench.other.send(method, `${path}/${unknown}${tail}`);
      assertError(foreign, 404, 'job_not_found');
      assert.equal(foreign.text.replace(job.id, '?'), none.text.replace(unknown, '?'), tail);
    }
    assert.equal((await bench.acme.send('GET', `${path}/${job.id}`)).status, 200);
  });

  test('cancel, pause, resume; a state that does not allow it is 400', async () => {
    const { json } = await create();
    await bench.untilState(json.id, 'queued');
    const post = async (verb: string) => await bench.acme.send('POST', `${path}/${json.id}/${verb}`);
    assertError(await post('resume'), 400, 'invalid_job_state');
    assert.equal((await post('pause')).json.status, 'paused');
    assertError(await post('pause'), 400, 'invalid_job_state');
    assert.equal((await post('resume')).json.status, 'queued');
    const cancelled = await post('cancel');
    assert.deepEqual([cancelled.status, cancelled.json.status], [200, 'cancelled']);
    for (const verb of ['cancel', 'pause', 'resume']) assertError(await post(verb), 400, 'invalid_job_state');
  });

  test("a job that is over is deleted, with all that is of it alone; one that is not, and another team's, stay", async () => {
    const { acme, services, other } = bench;
    const live = (await create()).json.id;
    assertError(await acme.send('DELETE', `${path}/${live}`), 400, 'job_not_ended');
    const { version } = await publishAdapter(bench, acme, 'erased');
    const [id, model] = [version.jobId!, version.modelName];
    assertError(await other.send('DELETE', `${path}/${id}`), 404, 'job_not_found');
    const viewer = await bench.caller(acme, 'viewer');
    assertError(await viewer.send('DELETE', `${path}/${id}`), 403, 'insufficient_role');
    const rows = async () => {
      const { rows: tables } = await services.sql.query<{ name: string }>(
        `SELECT table_name AS name FROM information_schema.columns
         WHERE table_schema = current_schema() AND column_name = 'job_id' AND table_name <> 'usage_ledger'`,
      );
      const left: string[] = [];
      for (const { name } of tables) {
        const { rowCount } = await services.sql.query(`SELECT 1 FROM ${name} WHERE job_id = $1`, [id]);
        if (rowCount) left.push(name);
      }
      return left.sort();
    };
    assert.deepEqual(await rows(), ['adapter_versions', 'job_attempts', 'job_events']);
    const ledger = `SELECT count(*)::int AS n FROM usage_ledger WHERE job_id = '${id}'`;
    const { rows: used } = await services.sql.query(ledger);
    const limited = await bench.caller(acme, 'member', { scopes: ['jobs:write'] });
    assertError(await limited.send('DELETE', `${path}/${id}?adapters=delete`), 403, 'insufficient_scope');
    const answer = await acme.send('DELETE', `${path}/${id}`);
    assert.deepEqual(answer.json, { id, object: 'fine_tuning.job', deleted: true });
    assert.deepEqual(await rows(), []);
    for (const what of ['', '/events', '/metrics', '/checkpoints', '/attempts', '/request'])
      assertError(await acme.send('GET', `${path}/${id}${what}`), 404, 'job_not_found');
    assertError(await acme.send('DELETE', `${path}/${id}`), 404, 'job_not_found');
    assert.deepEqual((await services.sql.query(ledger)).rows, used, 'what it used stays in the ledger');
    const { rows: audited } = await services.sql.query('SELECT action FROM audit_log WHERE target = $1', [
      id,
    ]);
    assert.ok(
      audited.some(({ action }) => action === 'job.create') &&
        audited.some(({ action }) => action === 'job.delete'),
    );
    assert.equal(
      (await acme.send('GET', `/v1/models/${encodeURIComponent(model)}`)).status,
      200,
      'its adapter stays',
    );
  });

  test('with its adapter, if requested', async () => {
    const { version } = await publishAdapter(bench, bench.acme, 'both');
    assert.equal((await bench.acme.send('DELETE', `${path}/${version.jobId}?adapters=delete`)).status, 200);
    const { data } = (await bench.acme.send('GET', '/v1/adapters/deleted')).json;
    assert.ok(data.some(({ model }: { model: string }) => model === version.modelName));
  });

  test('an empty body with a JSON content type is no body', async () => {
    const { json } = await create();
    const answer = await bench.acme.send('POST', `${path}/${json.id}/cancel`, undefined, {
      'content-type': 'application/json',
    });
    assert.equal(answer.json.status, 'cancelled');
  });

  test('progress, checkpoints and metrics of a running job', async () => {
    const { json } = await create({ suffix: 'Q-1' });
    const job = await runJob(bench, json.id);
    const lease = leaseOf(job);
    await recordProgress(bench.services, lease, {
      step: 2,
      totalSteps: 10,
      epoch: 0.4,
      tokens: 64,
      tokensPerSecond: 12.5,
      secondsRemaining: 90,
      gpu: { model: 'NVIDIA L4', usedBytes: 9e9, totalBytes: 24e9, utilization: null, temperature: 61 },
    });
    const metric = {
      epoch: 0.2,
      tokens: 32,
      metrics: { token_accuracy: 0.5, learning_rate: 1e-4, grad_norm: 1, tokens_per_second: 12 },
    };
    const withMemory = (bytes: number) => ({
      ...metric,
      metrics: { ...metric.metrics, memory_bytes: bytes },
    });
    const measured = { token_accuracy: 0.5, macro_f1: 0.25 };
    await recordMetrics(bench.services, lease, [
      { kind: 'train', step: 1, loss: 2.5, ...withMemory(7e9) },
      { kind: 'train', step: 2, loss: 2.25, ...withMemory(6e9) },
      { kind: 'evaluation', step: 2, loss: 2.75, epoch: 0.2, tokens: null, metrics: measured },
    ]);
    for (const step of [1, 2, 3]) {
      await recordCheckpoint(bench.services, lease, {
        step,
        path: `checkpoints/${job.id}/${step}`,
        bytes: 10,
        digest: 'd',
        seconds: 0.5,
        series: [],
        metrics: { trainLoss: 2.5, trainTokenAccuracy: 0.5, validationLoss: step === 3 ? 2 : null },
      });
    }

    const running = (await bench.acme.send('GET', `${path}/${job.id}`)).json;
    assert.equal(running.status, 'running');
    assert.equal(running.queue_position, null);
    assert.deepEqual(running.progress, {
      step: 2,
      total_steps: 10,
      epoch: 0.4,
      tokens: 64,
      tokens_per_second: 12.5,
      seconds_remaining: 90,
      loss: null,
      gpu: {
        model: 'NVIDIA L4',
        memory_used_bytes: 9e9,
        memory_total_bytes: 24e9,
        utilization: null,
        temperature: 61,
      },
    });
    assert.ok(Math.abs(running.estimated_finish - (Date.now() / 1000 + 90)) < 10);

    const metrics = (await bench.acme.send('GET', `${path}/${job.id}/metrics`)).json;
    assert.equal(metrics.object, 'list');
    assert.deepEqual(
      metrics.data.map((each: { kind: string; step: number; loss: number }) => [
        each.kind,
        each.step,
        each.loss,
      ]),
      [
        ['train', 1, 2.5],
        ['evaluation', 2, 2.75],
        ['train', 2, 2.25],
      ],
    );
    const memory = metrics.data.map(({ memory_bytes }: { memory_bytes: number | null }) => memory_bytes);
    assert.deepEqual(memory, [7e9, null, 6e9]);
    const [step, evaluation] = metrics.data;
    assert.deepEqual(step.metrics, withMemory(7e9).metrics);
    const { token_accuracy, learning_rate, grad_norm, tokens, tokens_per_second } = step;
    assert.deepEqual(
      [token_accuracy, learning_rate, grad_norm, tokens, tokens_per_second],
      [0.5, 1e-4, 1, 32, 12],
      'separate fields, as before there were names',
    );
    assert.deepEqual(
      [evaluation.metrics, evaluation.token_accuracy, evaluation.grad_norm],
      [measured, 0.5, null],
    );
    const page = (await bench.acme.send('GET', `${path}/${job.id}/metrics?limit=1`)).json;
    assert.equal(page.has_more, true);
    assert.deepEqual(page.data, metrics.data.slice(0, page.data.length));
    const sums = (await bench.acme.send('GET', `${path}/${job.id}/metrics?resolution=1`)).json;
    assert.equal(sums.has_more, false);
    const train = sums.data.find(({ kind }: { kind: string }) => kind === 'train');
    const all = metrics.data.filter(({ kind }: { kind: string }) => kind === 'train');
    assert.deepEqual(
      [train.step, train.stretch.first_step, train.stretch.count],
      [all.at(-1).step, all[0].step, all.length],
    );
    assert.deepEqual([train.memory_bytes, train.stretch.memory_bytes_max], [6e9, 7e9]);
    const evaluated = sums.data.find(({ kind }: { kind: string }) => kind === 'evaluation');
    assert.deepEqual([evaluated.memory_bytes, evaluated.stretch.memory_bytes_max], [null, null]);
    const until = `${path}/${job.id}/metrics?resolution=9&until_step=1`;
    const upTo = (await bench.acme.send('GET', until)).json.data;
    assert.deepEqual(
      upTo.map(({ step }: { step: number }) => step),
      [1],
    );
    const rest = (await bench.acme.send('GET', `${path}/${job.id}/metrics?after_step=1`)).json;
    assert.equal(rest.data.length, 2);

    const list = async (query: string) =>
      (await bench.acme.send('GET', `${path}/${job.id}/checkpoints?all=true&${query}`)).json;
    const checkpoints = await list('');
    assert.deepEqual(
      checkpoints.data.map((each: { step_number: number }) => each.step_number),
      [3, 2, 1],
    );
    const [newest] = checkpoints.data;
    assert.match(newest.id, /^ftckpt_/);
    assert.deepEqual([newest.bytes, newest.seconds], [10, 0.5]);
    assert.equal(newest.fine_tuned_model_checkpoint, `ft:tiny:acme:Q-1:${job.id.slice(-8)}:ckpt-step-3`);
    assert.deepEqual(newest.metrics, {
      step: 3,
      train_loss: 2.5,
      train_mean_token_accuracy: 0.5,
      valid_loss: 2,
      full_valid_loss: 2,
    });
    const first = await list('limit=2');
    assert.equal(first.has_more, true);
    assert.equal((await list(`limit=2&after=${first.last_id}`)).data[0].step_number, 1);

    const post = async (verb: string) => (await bench.acme.send('POST', `${path}/${job.id}/${verb}`)).json;
    // Pausing a running job is a request to its worker.
    assert.equal((await post('pause')).status, 'running');
    assert.equal((await post('cancel')).status, 'running');
  });
});
