import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cell, cells } from './cells.ts';

function cellsOf(env: { GRAFT_MATRIX?: string; GRAFT_MATRIX_HALF?: string }): Cell[] {
  const names = ['GRAFT_MATRIX', 'GRAFT_MATRIX_HALF'] as const;
  const before = names.map((name) => process.env[name]);
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const name of names) set(name, env[name]);
  try {
    return cells();
  } finally {
    names.forEach((name, i) => {
      set(name, before[i]);
    });
  }
}

test('the two halves of the matrix are all of it, and each has every architecture and every method', () => {
  const whole = cellsOf({});
  const halves = ['0', '1'].map((half) => cellsOf({ GRAFT_MATRIX_HALF: half }));
  const namesOf = (some: Cell[]) => some.map(({ name }) => name).sort();
  assert.deepEqual(namesOf(halves.flat()), namesOf(whole));
  const seeds = new Map(whole.map(({ name, seed }) => [name, seed]));
  for (const half of halves) {
    assert.ok(Math.abs(half.length - whole.length / 2) < 15, `${half.length} of ${whole.length}`);
    for (const { name, seed } of half) assert.equal(seed, seeds.get(name), name);
    for (const part of ['architecture', 'method'] as const) {
      const met = new Set(half.map((cell) => cell[part].name));
      assert.deepEqual(met, new Set(whole.map((cell) => cell[part].name)));
    }
  }
});

test('cells that are asked for by name are tried in either half', () => {
  const env = { GRAFT_MATRIX: 'llama × lora$' };
  assert.deepEqual(cellsOf({ ...env, GRAFT_MATRIX_HALF: '0' }), cellsOf({ ...env, GRAFT_MATRIX_HALF: '1' }));
  assert.equal(cellsOf(env).length, 1);
});
