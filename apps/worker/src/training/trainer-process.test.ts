// Protocol tests: the child only waits instead of computing. Real training is tested in train-tasks.test.ts.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { createLogger } from '@graft/service/logger';
import type { Precision } from '../devices.ts';
import type { Timing } from '../testing/timed-trainer.ts';
import { TrainerProcess } from './trainer-process.ts';
import type { TrainerRecord, TrainingRequest } from './trainer-protocol.ts';

const entry = new URL('../testing/timed-trainer.ts', import.meta.url);
const log = createLogger({ level: 'silent', name: 'test' });
const peft = parsePeftConfig({ peft_type: 'LORA' });
let folder: string;
let jobs = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-trainer-'));
});
after(() => rm(folder, { recursive: true }));

function trainerFor(t: { after(end: () => Promise<void>): void }, limits = {}): TrainerProcess {
  const trainer = new TrainerProcess({
    entry,
    device: { kind: 'cpu' },
    log,
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
    ...limits,
  });
  t.after(() => trainer.close());
  return trainer;
}

async function requestFor(
  timing: Partial<Timing>,
  precision: Precision = 'fp32',
  threads = 2,
): Promise<TrainingRequest> {
  const job = join(folder, String(++jobs));
  await writeFile(
    `${job}.json`,
    JSON.stringify({ steps: 4, stepMilliseconds: 10, checkpointSteps: 2, ...timing }),
  );
  return {
    basePath: job,
    digestCache: job,
    baseModelName: 'none',
    publicBaseName: 'none',
    trainingFile: `${job}.json`,
    validationFile: null,
    peft,
    training: { ...resolveTraining({ peft, exampleCount: 8 }), precision },
    method: 'supervised',
    trials: null,
    requirements: { precision, threads, device: 'cpu', kernels: 'stock' },
    initialAdapter: null,
    initialName: null,
    outputDir: join(job, 'output'),
    checkpoints: { dir: join(job, 'checkpoints'), candidates: [] },
  };
}

function watch() {
  const records: TrainerRecord[] = [];
  const stop = new AbortController();
  const kill = new AbortController();
  let onStep = (_: number) => {};
  return {
    records,
    stop,
    kill,
    /** Resolves when the trainer has reported this step. */
    reached: (step: number) => new Promise<void>((resolve) => (onStep = (at) => at === step && resolve())),
    run: {
      stop: stop.signal,
      kill: kill.signal,
      onRecord: (record: TrainerRecord) => {
        records.push(record);
        if (record.type === 'step') onStep(record.step);
      },
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('TrainerProcess', () => {
  it('reports every record, in order, before the outcome', async (t) => {
    const seen = watch();
    const outcome = await trainerFor(t).run(await requestFor({}), seen.run);
    assert.deepEqual(outcome, { type: 'finished' });
    const recordNames = seen.records.map((record) =>
      'step' in record ? `${record.type} ${record.step}` : record.type,
    );
    assert.deepEqual(recordNames, [
      'start',
      'step 1',
      'step 2',
      'checkpoint 2',
      'step 3',
      'step 4',
      'checkpoint 4',
      'done',
    ]);
  });

  it('keeps the child for the next job of the same precision and threads, and only for that', async (t) => {
    const trainer = trainerFor(t);
    await trainer.run(await requestFor({}), watch().run);
    const pid = trainer.pid;
    assert.ok(pid);
    await trainer.run(await requestFor({}), watch().run);
    assert.equal(trainer.pid, pid);
    const narrow = watch();
    await trainer.run(await requestFor({}, 'bf16'), narrow.run);
    assert.notEqual(trainer.pid, pid);
    assert.equal(isAlive(pid), false);
    assert.ok(narrow.records[0]?.type === 'start' && narrow.records[0].precision === 'bf16');
    const narrowPid = trainer.pid;
    // The number of threads determines how sums are split.
    await trainer.run(await requestFor({}, 'bf16', 3), watch().run);
    assert.notEqual(trainer.pid, narrowPid);
  });

  it('is readiest for the team whose job its confined child did last', async (t) => {
    const none = { program: null, layers: [], user: null, reads: [], cacheDir: folder };
    const trainer = trainerFor(t, { sandbox: { ...none, folder: join(folder, 'slots') } });
    assert.equal(trainer.readinessFor('a'), 1);
    assert.deepEqual(await trainer.run(await requestFor({}), { ...watch().run, team: 'a' }), {
      type: 'finished',
    });
    assert.deepEqual(
      ['a', 'b'].map((team) => trainer.readinessFor(team)),
      [2, 0],
    );
    await trainer.run(await requestFor({}), { ...watch().run, team: 'b' });
    assert.deepEqual(
      ['a', 'b'].map((team) => trainer.readinessFor(team)),
      [0, 2],
    );
  });

  it('lets an idle child go', async (t) => {
    const trainer = trainerFor(t, { idleMilliseconds: 50 });
    await trainer.run(await requestFor({}), watch().run);
    for (let i = 0; i < 300 && trainer.pid !== null; i++) await sleep(100);
    assert.equal(trainer.pid, null);
  });

  it('kills a blocked child at once', async (t) => {
    const trainer = trainerFor(t);
    const seen = watch();
    const reached = seen.reached(1);
    const running = trainer.run(await requestFor({ atStep: { step: 2, does: 'hang' } }), seen.run);
    await reached;
    const pid = trainer.pid!;
    seen.kill.abort();
    // Without the kill, the trainer would block for ten minutes.
    assert.deepEqual(await running, { type: 'killed' });
    assert.equal(isAlive(pid), false);
  });

  it('asks for a checkpoint and stops, also when the request precedes the job', async (t) => {
    const trainer = trainerFor(t);
    const seen = watch();
    const reached = seen.reached(3);
    const request = await requestFor({ steps: 1000, checkpointSteps: 1000 });
    const running = trainer.run(request, seen.run);
    await reached;
    seen.stop.abort();
    assert.deepEqual(await running, { type: 'stopped' });
    assert.deepEqual(
      seen.records.slice(-2).map((record) => record.type),
      ['checkpoint', 'stopped'],
    );

    assert.deepEqual(await trainer.run(request, { ...watch().run, stop: AbortSignal.abort() }), {
      type: 'stopped',
    });
    const last = watch();
    assert.deepEqual(await trainer.run(await requestFor({}), last.run), { type: 'finished' });
  });

  it('distinguishes a user fault from a fault of the service, whose text stays inside', async (t) => {
    const trainer = trainerFor(t);
    const user = await trainer.run(
      await requestFor({ atStep: { step: 2, does: 'user fault' } }),
      watch().run,
    );
    assert.ok(user.type === 'failed');
    const { code, message, param, fault } = user.fault;
    assert.deepEqual(
      { code, message, param, fault },
      { code: 'example_too_long', message: 'line 3 has 5000 tokens', param: 'training_file', fault: 'user' },
    );
    const pid = trainer.pid;
    assert.ok(pid, 'a user fault leaves the child');
    const own = await trainer.run(
      await requestFor({ atStep: { step: 2, does: 'unknown fault' } }),
      watch().run,
    );
    assert.ok(own.type === 'failed' && own.fault.fault === 'system');
    assert.doesNotMatch(own.fault.message, /secret/);
    assert.equal(trainer.pid, null, 'after an internal error the child is not reused');
  });

  it('sees a crash and a kill -9, and works again after each', async (t) => {
    const trainer = trainerFor(t);
    const exit = await trainer.run(await requestFor({ atStep: { step: 2, does: 'exit' } }), watch().run);
    assert.deepEqual(exit, { type: 'crashed', exit: { code: 7, signal: null }, ready: true });

    const seen = watch();
    const reached = seen.reached(1);
    const killed = trainer.run(await requestFor({ stepMilliseconds: 100, steps: 1000 }), seen.run);
    await reached;
    process.kill(trainer.pid!, 'SIGKILL');
    const exitOfKilled = { code: null, signal: 'SIGKILL' };
    assert.deepEqual(await killed, { type: 'crashed', exit: exitOfKilled, ready: true });
    assert.deepEqual(await trainer.run(await requestFor({}), watch().run), { type: 'finished' });
  });

  it('kills a child that hangs, and starts another for the next job', async (t) => {
    const trainer = trainerFor(t, { stallMilliseconds: 5000 });
    const hung = await trainer.run(await requestFor({ atStep: { step: 2, does: 'hang' } }), watch().run);
    assert.deepEqual(hung, { type: 'stalled' });
    assert.equal(trainer.pid, null);
    assert.deepEqual(await trainer.run(await requestFor({}), watch().run), { type: 'finished' });
  });

  it('checks that a child computes, and reports one that cannot even start', async (t) => {
    const { signal } = new AbortController();
    const computing = { precision: 'fp32', threads: 1 } as const;
    assert.deepEqual(await trainerFor(t).prove(computing, signal), { type: 'finished' });
    await writeFile(join(folder, 'broken.mjs'), 'process.exit(3)');
    const broken = trainerFor(t, { entry: pathToFileURL(join(folder, 'broken.mjs')) });
    const outcome = await broken.prove(computing, signal);
    assert.ok(outcome?.type === 'crashed' && !outcome.ready);
  });

  it('a job that comes while the child proves itself waits for that, and not once it is cancelled', async (t) => {
    const { signal } = new AbortController();
    const computing = { precision: 'fp32', threads: 2 } as const;
    const trainer = trainerFor(t);
    const seen = watch();
    const request = await requestFor({});
    const [proof, outcome] = await Promise.all([
      trainer.prove(computing, signal),
      trainer.run(request, seen.run),
      trainer.prove(computing, signal).then((second) => assert.equal(second, null)),
    ]);
    assert.deepEqual([proof, outcome], [{ type: 'finished' }, { type: 'finished' }]);
    assert.equal(seen.records.at(-1)?.type, 'done');

    process.kill(trainer.pid!, 'SIGSTOP');
    const frozen = trainer.prove(computing, signal);
    const cancelled = watch();
    const ended = trainer.run(await requestFor({}), cancelled.run);
    cancelled.kill.abort();
    assert.deepEqual([await frozen, await ended], [null, { type: 'killed' }]);
  });
});
