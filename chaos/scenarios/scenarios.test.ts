import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseOptions, UsageError } from '../options.ts';
import { planScenarios } from '../plan.ts';
import { scenarios } from './index.ts';

test('every scenario has a unique name and is in the long profile, and every file is used', () => {
  const names = scenarios.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, rounds } of scenarios) assert.ok(rounds.long > 0, name);
  const index = readFileSync(join(import.meta.dirname, 'index.ts'), 'utf8');
  const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' });
  const rooms = files.filter((file) => file.includes('/') && file.endsWith('.ts'));
  assert.ok(rooms.length > 0);
  for (const file of rooms) assert.ok(index.includes(`'./${file}'`), file);
});

test('the five standard queue faults are tried on both queue backends', () => {
  for (const name of [
    'postgres-restarted',
    'backends-killed',
    'connections-exhausted',
    'worker-killed',
    'repeated-kills',
  ]) {
    const scenario = scenarios.find((other) => other.name === name);
    assert.deepEqual(scenario?.queues, ['postgres', 'redis'], name);
    assert.ok(scenario.rounds.short > 0, name);
  }
});

test('two halves have every scenario of a profile on each of its queue backends, each about half of them', () => {
  for (const profile of ['short', 'long'] as const) {
    const runs = (half: number | null) =>
      planScenarios(scenarios, { only: [], profile, queue: null }, half).flatMap(([queue, some]) =>
        some.map(({ name }) => `${name} on ${queue}`),
      );
    const [first, second, whole] = [runs(0), runs(1), runs(null)];
    assert.deepEqual([...first, ...second].sort(), whole.toSorted());
    assert.ok(Math.abs(first.length - second.length) <= 4, `${first.length} and ${second.length}`);
  }
});

test('options are parsed, or refused with the reason', () => {
  const options = parseOptions([
    '--only',
    'a,b',
    '--seed',
    '7',
    '--rounds',
    '3',
    '--profile',
    'long',
    '--json',
    '--half',
  ]);
  assert.deepEqual(
    [options.only, options.seed, options.rounds, options.profile, options.json, options.half],
    [['a', 'b'], 7, 3, 'long', true, true],
  );
  for (const args of [['--profile', 'huge'], ['--seed', 'x'], ['--nonsense'], ['--timings', 'slow']]) {
    assert.throws(() => parseOptions(args), UsageError, args.join(' '));
  }
});
