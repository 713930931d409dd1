import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '../../errors.ts';
import { Random } from '../../random.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { makeFolder } from './durable-files.ts';
import { chooseRetained, epochFolder, leaseFolder, removeOtherCheckpoints } from './keep-checkpoints.ts';
import type { CheckpointCandidate } from './manifest.ts';
import { MetricLog, type MetricSeries } from './metric-series.ts';
import { loadCheckpoint } from './read-checkpoint.ts';
import { writeCheckpoint } from './write-checkpoint.ts';

const at = tempFolder();
const parts = ['adapter', 'exp_avg', 'exp_avg_sq'];
const identity = 'of this run';
const entries = [
  { name: 'a.weight', shape: [3, 5], offset: 0, length: 15, decayed: true },
  { name: 'b.bias', shape: [7], offset: 15, length: 7, decayed: false },
];
const layout = {
  entries,
  size: 22,
  views: (flat: Float32Array) =>
    new Map(
      entries.map(({ name, shape, offset, length }) => [
        name,
        { shape, data: flat.subarray(offset, offset + length) },
      ]),
    ),
};

/** The measurements of a run after `step` steps, with an evaluation every third step. */
function seriesAt(step: number): MetricSeries {
  const log = new MetricLog(null);
  for (let i = 1; i <= step; i++) {
    const measured = {
      epoch: i / 10,
      loss: 1 / i,
      tokenAccuracy: i % 2 ? null : 0.25,
      learningRate: 1e-4 / i,
    };
    const counted = { tokens: 2 ** 40 + i, tokensPerSecond: 100 / i, memoryBytes: 2 ** 33 + i };
    log.addStep({ ...measured, gradNorm: Math.sqrt(i), ...counted });
    if (i % 3 === 0) log.addEvaluation({ step: i, loss: 2 / i, tokenAccuracy: null });
  }
  return log.series;
}

const stateAt = (step: number) =>
  new Map(
    parts.map((part, i) => [
      part,
      Float32Array.from({ length: 22 }, (_, k) => Math.fround(Math.sin(step + i + k))),
    ]),
  );

async function write(
  job: string,
  epoch: number,
  step: number,
  { of = identity, token = null }: { of?: string; token?: string | null } = {},
): Promise<CheckpointCandidate> {
  const folder = at(job, leaseFolder(epoch, token));
  await makeFolder(folder);
  const checkpoint = { step, trainedTokens: 10 * step, state: stateAt(step), series: seriesAt(step) };
  const { dir, digest, bytes, seconds } = await writeCheckpoint(folder, checkpoint, layout, of);
  assert.equal(
    bytes,
    readdirSync(dir).reduce((sum, name) => sum + readFileSync(path.join(dir, name)).length, 0),
  );
  assert.ok(seconds > 0);
  return { dir, step, digest };
}

const adopt = (candidates: CheckpointCandidate[], waits: number[] = []) =>
  loadCheckpoint(candidates, layout, parts, identity, waits);

/** Checks that the adopted candidate is exactly what was written at `step`. */
async function adopts(
  candidates: CheckpointCandidate[],
  step: number,
): Promise<{ step: number; reason: string }[]> {
  const { checkpoint, passedOver } = await adopt(candidates);
  assert.deepEqual(checkpoint, {
    step,
    trainedTokens: 10 * step,
    state: stateAt(step),
    series: seriesAt(step),
  });
  return passedOver;
}

// One tensor slightly above 2 GiB: more than Node hashes, writes or reads in one call. Needs 4.5 GB of memory.
test('a state of more than 2 GiB is written and read back', async () => {
  const length = 2 ** 29 + 3;
  const entry = { name: 'a', shape: [length], offset: 0, length, decayed: false };
  const large = {
    size: length,
    entries: [entry],
    views: (flat: Float32Array) => new Map([['a', { shape: [length], data: flat }]]),
  };
  const data = new Float32Array(length);
  for (let i = 0; i < length; i += 4093) data[i] = i;
  data[length - 1] = -1;
  await makeFolder(at('large'));
  const state = new Map([['adapter', data]]);
  const checkpoint = { step: 1, trainedTokens: 1, state, series: seriesAt(1) };
  const written = await writeCheckpoint(at('large'), checkpoint, large, identity);
  assert.ok(written.bytes > 2 ** 31);
  const { checkpoint: read } = await loadCheckpoint([{ ...written, step: 1 }], large, ['adapter'], identity);
  assert.ok(Buffer.compare(Buffer.from(read!.state.get('adapter')!.buffer), Buffer.from(data.buffer)) === 0);
});

test('what is written is read back, bit for bit, with all that was measured', async () => {
  const old = await write('round', 1, 4);
  const newest = await write('round', 3, 7);
  assert.deepEqual(await adopts([newest, old], 7), []);
  assert.deepEqual(readdirSync(at('round', epochFolder(3))), ['step-00000007'], 'nothing half-written stays');
});

test('of a checkpoint of a version that did not measure memory no step has it, and the next does', async () => {
  const series = seriesAt(3);
  const { memoryBytes: _, ...train } = series.train;
  const before = { ...series, train: train as MetricSeries['train'] };
  await makeFolder(at('unmeasured'));
  const { dir, digest } = await writeCheckpoint(
    at('unmeasured'),
    { step: 3, trainedTokens: 30, state: stateAt(3), series: before },
    layout,
    identity,
  );
  const { checkpoint } = await adopt([{ dir, digest, step: 3 }]);
  const none = Float64Array.of(Number.NaN, Number.NaN, Number.NaN);
  assert.deepEqual(checkpoint!.series, { ...series, train: { ...train, memoryBytes: none } });
  const log = new MetricLog(checkpoint!.series);
  const rest = { epoch: 1, loss: 1, tokenAccuracy: 1, learningRate: 1, gradNorm: 1, tokens: 1 };
  log.addStep({ ...rest, tokensPerSecond: 1, memoryBytes: 7e9 });
  assert.deepEqual(log.series.train.memoryBytes, Float64Array.of(...none, 7e9));
});

test('a series grows on from the one it began with', () => {
  const log = new MetricLog(seriesAt(1024));
  const more = {
    epoch: 1,
    loss: 2,
    tokenAccuracy: 0.5,
    learningRate: 0,
    gradNorm: 3,
    tokens: 4,
    tokensPerSecond: 5,
    memoryBytes: 6,
  };
  log.addStep(more);
  const { train } = log.series;
  assert.equal(train.loss.length, 1025);
  assert.deepEqual([train.loss[1023], train.loss[1024], train.tokens[1024]], [1 / 1024, 2, 4]);
});

test('after any of 200 truncations and flipped bits, the checkpoint before is used', async () => {
  const before = await write('damage', 1, 4);
  const newest = await write('damage', 1, 5);
  const random = new Random(7, 'test', 0);
  const files = readdirSync(newest.dir);
  assert.equal(files.length, 3);
  for (let i = 0; i < 200; i++) {
    const file = path.join(newest.dir, files[i % files.length]!);
    const whole = readFileSync(file);
    const place = Math.floor(random.uniform() * whole.length);
    if (i % 5 === 0) truncateSync(file, place);
    else {
      const flipped = Buffer.from(whole);
      flipped[place]! ^= 1 << Math.floor(random.uniform() * 8);
      writeFileSync(file, flipped);
    }
    const what: string = `${files[i % files.length]}, byte ${place}, case ${i}`;
    assert.deepEqual(await adopts([newest, before], 4), [{ step: 5, reason: 'it is damaged' }], what);
    // Without a recorded digest, as on a developer's machine, white space in the manifest does not matter.
    const unrecorded = [newest, before].map((candidate) => ({ ...candidate, digest: null }));
    const used: number = (await adopt(unrecorded)).checkpoint!.step;
    assert.ok(used === 4 || path.basename(file) === 'manifest.json', what);
    await adopts(unrecorded, used);
    writeFileSync(file, whole);
  }
  assert.deepEqual(await adopts([newest, before], 5), []);
});

test('each checkpoint that is passed over has its reason', async () => {
  const good = await write('reasons', 1, 2);
  const other = await write('reasons', 1, 3, { of: 'of another run' });
  const gone = await write('reasons', 1, 4);
  await rm(gone.dir, { recursive: true });
  const partly = await write('reasons', 1, 5);
  await rm(path.join(partly.dir, 'metrics.safetensors'));
  const replaced = await write('reasons', 1, 6);
  const unlike = { ...replaced, digest: 'ab'.repeat(32) };
  const misnamed = { ...(await write('reasons', 1, 7)), step: 8 };
  const old = { dir: at('reasons', 'step-00000009'), step: 9, digest: null };
  await mkdir(old.dir);
  await writeFile(
    path.join(old.dir, 'manifest.json'),
    JSON.stringify({ version: 2, codeVersion: 'train-2', step: 9 }),
  );
  const folder = { dir: at('reasons', 'step-00000010'), step: 10, digest: 'x' };
  await mkdir(path.join(folder.dir, 'manifest.json'), { recursive: true });
  const passedOver = await adopts([folder, old, misnamed, unlike, partly, gone, other, good], 2);
  assert.deepEqual(
    passedOver.map(({ step, reason }) => `${step}: ${reason}`),
    [
      '10: it is damaged',
      '9: another version of Graft wrote it',
      '8: it is damaged',
      '6: it is damaged',
      '5: its files are gone',
      '4: its files are gone',
      '3: it is of other data or options, another base model, or was computed otherwise',
    ],
  );
  assert.deepEqual((await adopt([gone])).checkpoint, null);
});

// Reading the first page of this file fails with EIO from the kernel, as on a failing disk.
const unreadable = '/proc/self/mem';

test('what the storage fails to give is read again, and is then a fault of the environment, never none', {
  skip: !existsSync(unreadable),
}, async () => {
  const before = await write('unreadable', 1, 4);
  const newest = await write('unreadable', 1, 5);
  for (const name of ['manifest.json', 'state.safetensors', 'metrics.safetensors']) {
    const file = path.join(newest.dir, name);
    await rename(file, `${file}.away`);
    symlinkSync(unreadable, file);
    // The size of a file is checked first: a file of another size is damaged, whatever its content.
    if (name !== 'manifest.json') {
      assert.deepEqual(await adopts([newest, before], 4), [{ step: 5, reason: 'it is damaged' }]);
    } else {
      await assert.rejects(adopt([newest, before], [1, 1]), (error: GraftError) => {
        assert.ok(error instanceof GraftError);
        assert.deepEqual([error.code, error.fault], ['checkpoint_unreadable', 'environment']);
        assert.match(error.message, /step 5 .*EIO/);
        assert.ok(!error.message.includes(at()), 'a team may read it');
        return true;
      });
      await assert.rejects(chooseRetained([newest, before]), /EIO/);
      const reading = adopt([newest, before], [200, 200, 200, 200, 200, 2000]);
      await sleep(100);
      await rm(file);
      await rename(`${file}.away`, file);
      assert.equal((await reading).checkpoint?.step, 5, 'it was read again');
      continue;
    }
    await rm(file);
    await rename(`${file}.away`, file);
  }
});

test('a folder that cannot be written to is a fault of the environment', async () => {
  const none = writeCheckpoint(
    at('no', 'such', 'folder'),
    { step: 1, trainedTokens: 1, state: stateAt(1), series: seriesAt(1) },
    layout,
    identity,
  );
  await assert.rejects(none, {
    code: 'checkpoint_unwritable',
    fault: 'environment',
    message: /step 1 .*ENOENT/,
  });
  assert.ok(!existsSync(at('no')), 'a run that lost its folder does not make it again');
});

test('the two newest that verify are kept; no unusable one takes the place of a good one', async () => {
  const all: CheckpointCandidate[] = [];
  for (const [epoch, step] of [
    [1, 2],
    [1, 4],
    [2, 6],
    [2, 8],
    [2, 10],
  ] as const)
    all.unshift(await write('kept', epoch, step));
  const [ten, eight] = all;
  writeFileSync(path.join(ten!.dir, 'state.safetensors'), 'torn');
  const { kept, damaged, older } = await chooseRetained(all);
  const steps = (list: CheckpointCandidate[]) => list.map(({ step }) => step);
  assert.deepEqual([steps(kept), steps(damaged), steps(older)], [[8, 6], [10], [4, 2]]);

  // Folders of other runs, and the checkpoint that the trainer is writing.
  const making = await write('kept', 2, 12);
  await mkdir(at('kept', epochFolder(2), 'step-00000014.tmp-0123'));
  await mkdir(at('kept', epochFolder(1), 'step-00000006.tmp-0123'));
  await mkdir(at('kept', 'step-00000500'));
  const successor = await write('kept', 3, 9);
  await removeOtherCheckpoints(at('kept'), { epoch: 2, token: null }, 10, kept);
  assert.deepEqual(readdirSync(at('kept')), [epochFolder(2), epochFolder(3)]);
  assert.deepEqual(readdirSync(at('kept', epochFolder(2))), [
    'step-00000006',
    'step-00000008',
    'step-00000012',
    'step-00000014.tmp-0123',
  ]);
  assert.deepEqual(await adopts([making], 12), []);
  assert.deepEqual(await adopts([successor, eight!], 9), []);
});

test('a zombie of a lower epoch harms no checkpoint of a higher one, nor those that it resumes from', async () => {
  const adopted = await write('zombie', 1, 4);
  await write('zombie', 1, 2);
  const mine = await write('zombie', 2, 6);
  // The old trainer wakes up, continues to write in its own folder, and removes checkpoints by its old state.
  await write('zombie', 1, 6);
  await removeOtherCheckpoints(
    at('zombie'),
    { epoch: 1, token: null },
    4,
    (await chooseRetained([adopted])).kept,
  );
  assert.deepEqual(await adopts([mine, adopted], 6), []);
  assert.deepEqual(await adopts([adopted], 4), []);
  // The successor removes that folder with its content; then the old trainer can no longer write.
  const next = await write('zombie', 2, 8);
  await removeOtherCheckpoints(at('zombie'), { epoch: 2, token: null }, 8, [next, mine]);
  assert.deepEqual(readdirSync(at('zombie')), [epochFolder(2)]);
  const late = writeCheckpoint(
    at('zombie', epochFolder(1)),
    { step: 8, trainedTokens: 1, state: stateAt(8), series: seriesAt(8) },
    layout,
    identity,
  );
  await assert.rejects(late, { code: 'checkpoint_unwritable' });
  assert.deepEqual(readdirSync(at('zombie')), [epochFolder(2)]);
});

test('two leases of one epoch write and remove apart, and the next one removes what neither left to keep', async () => {
  const before = await write('tokens', 4, 2, { token: 'lost' });
  const earlier = await write('tokens', 4, 4, { token: 'lost' });
  // A checkpoint of a version without lease tokens.
  const old = await write('tokens', 3, 3);
  const first = await write('tokens', 5, 6, { token: 'first' });
  const second = await write('tokens', 5, 6, { token: 'second' });
  assert.notEqual(first.dir, second.dir);
  await removeOtherCheckpoints(at('tokens'), { epoch: 5, token: 'second' }, 6, [second, earlier, old]);
  assert.deepEqual(await adopts([first], 6), [], 'nobody knows which of the two has the lease');
  assert.deepEqual(await adopts([second], 6), []);
  assert.deepEqual(await adopts([earlier], 4), []);
  assert.deepEqual(await adopts([old], 3), []);
  assert.equal(existsSync(before.dir), false);
  // The first trainer wakes up.
  await removeOtherCheckpoints(at('tokens'), { epoch: 5, token: 'first' }, 6, [first]);
  assert.deepEqual(await adopts([second], 6), []);

  const next = await write('tokens', 6, 8, { token: 'third' });
  await removeOtherCheckpoints(at('tokens'), { epoch: 6, token: 'third' }, 8, [next, second]);
  assert.deepEqual(readdirSync(at('tokens')), [epochFolder(5), epochFolder(6)]);
  assert.deepEqual(readdirSync(at('tokens', epochFolder(5))), ['second']);
});
