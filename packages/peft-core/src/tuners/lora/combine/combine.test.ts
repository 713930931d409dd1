import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePeftConfig } from '../../../config/index.ts';
import { outlineOf } from '../../../outlines/index.ts';
import { Random } from '../../../random.ts';
import { tinyConfig } from '../../../testing/tiny-model.ts';
import type { LoraConfig } from '../config.ts';
import { combineLora } from './combine.ts';
import { bestOfRank, type Columns } from './singular-values.ts';
import { largestPart, randomPart } from './task-arithmetic.ts';

const columns = (rows: number, count: number, seed: number): Columns => {
  const random = new Random(seed, 'test');
  return {
    rows,
    columns: Array.from({ length: count }, () => Float64Array.from({ length: rows }, () => random.normal())),
  };
};

/** `b · aᵀ`, row by row. */
function product(b: Columns, a: Columns): number[] {
  return Array.from({ length: b.rows * a.rows }, (_, i) =>
    b.columns.reduce(
      (sum, column, k) => sum + column[Math.floor(i / a.rows)]! * a.columns[k]![i % a.rows]!,
      0,
    ),
  );
}

const distance = (a: number[], b: number[]) => Math.hypot(...a.map((value, i) => value - b[i]!));

describe('the best approximation of a product', () => {
  for (const [out, width, ranks] of [
    [20, 12, 5],
    [6, 30, 9],
    [4, 5, 9],
    [7, 7, 7],
  ] as const)
    test(`${out} × ${width} of ${ranks} ranks: all of them are exact, fewer have the least error`, () => {
      const [b, a] = [columns(out, ranks, 1), columns(width, ranks, 2)];
      const whole = product(b, a);
      const exact = bestOfRank(b, a, Math.min(out, width, ranks));
      assert.ok(distance(product(exact.b, exact.aTransposed), whole) < 1e-12 * Math.hypot(...whole));
      // The error of rank k is the norm of the singular values that are left out (Eckart and Young).
      const values = exact.b.columns.map((column) => Math.hypot(...column));
      assert.deepEqual(
        values,
        [...values].sort((x, y) => y - x),
      );
      const two = bestOfRank(b, a, 2);
      const error = distance(product(two.b, two.aTransposed), whole);
      assert.ok(Math.abs(error - Math.hypot(...values.slice(2))) < 1e-10 * Math.hypot(...whole));
    });

  test('equal and empty columns give finite factors', () => {
    const [b, a] = [columns(8, 2, 1), columns(9, 2, 2)];
    const zero = new Float64Array(9);
    const twice = { rows: 8, columns: [...b.columns, ...b.columns] };
    const thrice = { rows: 9, columns: [...a.columns, a.columns[0]!, zero] };
    const best = bestOfRank(twice, thrice, 4);
    const wanted = product(twice, thrice);
    assert.ok(distance(product(best.b, best.aTransposed), wanted) < 1e-12 * Math.hypot(...wanted));
  });
});

describe('parts of a matrix', () => {
  test('the largest numbers, the first of equal ones', () => {
    const values = Float32Array.of(1, -3, 2, 2, -2, 0);
    assert.deepEqual([...largestPart(values, 0.5)], [0, -3, 2, 2, 0, 0]);
    assert.deepEqual([...largestPart(values, 0.1)], [0, 0, 0, 0, 0, 0]);
  });

  test('random numbers keep their expected sum and share', () => {
    const values = new Float32Array(20_000).fill(1);
    const part = randomPart(values, 0.3, new Random(1, 'dropping'));
    const kept = part.filter((value) => value !== 0).length / values.length;
    assert.ok(Math.abs(kept - 0.3) < 4 * Math.sqrt((0.3 * 0.7) / values.length), String(kept));
    assert.ok(part.every((value) => value === 0 || Math.abs(value - 1 / 0.3) < 1e-6));
  });
});

test('scales with rsLoRA and patterns become part of the factors, and the new scale is 1', async () => {
  const config = parsePeftConfig({
    peft_type: 'LORA',
    r: 4,
    lora_alpha: 8,
    use_rslora: true,
    rank_pattern: { v_proj: 2 },
    alpha_pattern: { v_proj: 6 },
    target_modules: ['q_proj', 'v_proj'],
  }) as LoraConfig;
  const adapters = [1, 2].map((weight) => ({ name: `of ${weight}`, config, weight }));
  const plan = combineLora(adapters, outlineOf(tinyConfig), { combination_type: 'linear' });
  const { use_rslora, lora_alpha, r, rank_pattern, alpha_pattern } = plan.config;
  assert.deepEqual([use_rslora, lora_alpha, r], [false, 4, 4]);
  assert.deepEqual([rank_pattern, alpha_pattern], [{ v_proj: 2 }, { v_proj: 2 }]);
  for (const { tensors, compute } of plan.groups) {
    const scale = tensors[0]!.key.includes('v_proj') ? 6 / Math.sqrt(2) : 8 / 2;
    const ones = async (_: number, { shape }: { shape: number[] }) =>
      new Float32Array(shape.reduce((x, y) => x * y, 1)).fill(1);
    const wanted = Math.sqrt(scale) + Math.sqrt(2 * scale);
    for (const values of await compute(ones))
      for (const value of values) assert.ok(Math.abs(value - wanted) < 1e-6, `${value} for ${wanted}`);
  }
});
