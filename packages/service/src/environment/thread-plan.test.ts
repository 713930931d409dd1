import assert from 'node:assert/strict';
import { totalmem } from 'node:os';
import { test } from 'node:test';
import { planFault, planReaders, planThreads } from './thread-plan.ts';

const MiB = 2 ** 20;
const unset = { apiMemoryBytes: undefined, validationThreads: undefined };
const withMemory = (mib: number) => planThreads({ ...unset, apiMemoryBytes: mib * MiB });

test('heaps of all threads, and what is outside them, add up to no more than the limit', () => {
  for (let mib = 5_500; mib < 40_000; mib += 250) {
    const plan = withMemory(mib);
    assert.ok(plan.totalMb <= mib, `${plan.totalMb} of ${mib}`);
    const heaps = Object.values(plan.threads).reduce((sum, { count, heapMb }) => sum + count * heapMb, 0);
    assert.ok(heaps < plan.totalMb);
    assert.equal(planFault(plan), null);
  }
});

test('with less memory heaps are smaller before a kind has one thread, by which teams would wait for each other', () => {
  const counts = ({ threads }: ReturnType<typeof withMemory>) =>
    Object.fromEntries(Object.entries(threads).map(([kind, { count }]) => [kind, count]));
  const plenty = withMemory(1_000_000);
  const few = withMemory(12_100);
  const fewer = withMemory(7_100);
  const least = withMemory(5_500);
  for (const plan of [few, fewer])
    assert.deepEqual(counts(plan), { ...counts(plenty), validations: 2, models: 1 });
  assert.ok(few.threads.estimates.heapMb < plenty.threads.estimates.heapMb);
  assert.ok(fewer.threads.estimates.heapMb < few.threads.estimates.heapMb);
  for (const kind of ['reports', 'estimates', 'files'] as const) assert.equal(least.threads[kind].count, 1);
  // The last is for a team that has none; a tokenizer of 250,000 tokens takes 300 MB.
  assert.equal(least.threads.validations.count, 2);
  assert.ok(least.threads.validations.heapMb >= 384);
});

test('the limit is the setting, else that of the control groups, else half of the machine', () => {
  const group = Math.floor(totalmem() / MiB / 2) * MiB;
  assert.deepEqual(planThreads(unset, group).limitMb, group / MiB);
  assert.match(planThreads(unset, group).limitedBy!, /container or control group/);
  const free = planThreads(unset, Number.POSITIVE_INFINITY);
  assert.deepEqual([free.limitMb, free.limitedBy], [Math.floor(totalmem() / MiB / 2), null]);
  const set = planThreads({ ...unset, apiMemoryBytes: 6_000 * MiB }, group);
  assert.deepEqual([set.limitMb, set.limitedBy], [6_000, 'GRAFT_API_MEMORY_MB']);
});

test('a limit that the fewest and smallest threads exceed is a fault, unless nothing enforces it', () => {
  assert.equal(
    planFault(withMemory(2_048)),
    'The API needs 5746 MB for its threads, and GRAFT_API_MEMORY_MB is 2147 MB: raise it (docs/deployment.md#memory-of-the-api).',
  );
  assert.equal(planFault({ ...withMemory(2_048), limitedBy: null }), null);
});

test('the number of validation threads that the operator sets stays', () => {
  const plan = planThreads({ apiMemoryBytes: 16_384 * MiB, validationThreads: 7 });
  assert.equal(plan.threads.validations.count, 7);
  assert.ok(plan.totalMb <= 16_384);
  const many = planThreads({ apiMemoryBytes: 6_144 * MiB, validationThreads: 7 });
  assert.match(planFault(many)!, /raise it/);
});

test('a worker reads models with an eighth of its memory', () => {
  assert.deepEqual(planReaders(8 * 2 ** 30), { count: 1, heapMb: 1024 });
  assert.deepEqual(planReaders(64 * 2 ** 30), { count: 2, heapMb: 2048 });
});
