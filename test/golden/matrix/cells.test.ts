import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adaptersMethods } from './adapters-methods.ts';
import { type Cell, cells, changeNames, partCount } from './cells.ts';
import { methods } from './methods.ts';

const variables = ['GRAFT_MATRIX', 'GRAFT_MATRIX_PART', 'GRAFT_MATRIX_CHANGED'] as const;
const all = [...methods, ...adaptersMethods];

function cellsOf(env: Partial<Record<(typeof variables)[number], string>>): Cell[] {
  const before = variables.map((name) => process.env[name]);
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const name of variables) set(name, env[name]);
  try {
    return cells(all);
  } finally {
    variables.forEach((name, i) => {
      set(name, before[i]);
    });
  }
}
const namesOf = (some: Cell[]) => some.map(({ name }) => name).sort();
const whole = cellsOf({});

test('the parts of the matrix are together all of it, and each has every architecture and every method', () => {
  const parts = Array.from({ length: partCount }, (_, i) => cellsOf({ GRAFT_MATRIX_PART: `${i}` }));
  assert.deepEqual([...new Set(namesOf(parts.flat()))].sort(), namesOf(whole));
  const seeds = new Map(whole.map(({ name, seed }) => [name, seed]));
  const two = namesOf(cellsOf({ GRAFT_MATRIX_PART: '1,5' }));
  assert.deepEqual(two, [...new Set(namesOf([parts[1]!, parts[5]!].flat()))]);
  for (const part of parts) {
    assert.ok(part.length < 0.25 * whole.length, `${part.length} of ${whole.length}`);
    for (const { name, seed } of part) assert.equal(seed, seeds.get(name), name);
    for (const side of ['architecture', 'method'] as const) {
      const met = new Set(part.map((cell) => cell[side].name));
      assert.deepEqual(met, new Set(whole.map((cell) => cell[side].name)));
    }
  }
});

test('every cell of a method or model type that changed is in every part', () => {
  const env = { GRAFT_MATRIX_PART: '2', GRAFT_MATRIX_CHANGED: 'ln-tuning,qwen2' };
  const wanted = whole.filter(
    ({ config, architecture }) =>
      config.peft_type === 'LN_TUNING' || architecture.config.model_type === 'qwen2',
  );
  assert.ok(wanted.length > 20);
  const part = cellsOf({ GRAFT_MATRIX_PART: '2' });
  assert.deepEqual(namesOf(cellsOf(env)), [...new Set(namesOf([...part, ...wanted]))]);
  assert.deepEqual(namesOf(cellsOf({ ...env, GRAFT_MATRIX_CHANGED: '*' })), namesOf(whole));
  for (const name of ['ln-tuning', 'bottleneck', 'qwen2', 't5']) assert.ok(changeNames().has(name), name);
});

test('cells that GRAFT_MATRIX names are in every part', () => {
  const env = { GRAFT_MATRIX: 'llama × lora$' };
  for (const GRAFT_MATRIX_PART of ['0', '3'])
    assert.deepEqual(namesOf(cellsOf({ ...env, GRAFT_MATRIX_PART })), ['llama × lora']);
});
