// Compares layers by kernels, for each instruction set that this processor has, with the same layers on stock operations.
import assert from 'node:assert/strict';
import { kernelSets, ProgramBuilder, tf, useKernels } from '@graft/tf-graph';
import { Random } from '../../random.ts';
import { type Implementation, type MatmulPrecision, withComputation } from '../computation.ts';

/** The fastest first. */
export const sets = kernelSets().filter((set) => set !== 'stock');

export interface Given {
  shape: number[];
  data: Float32Array | Int32Array;
}
export type Layer = (inputs: tf.Tensor[]) => tf.Tensor;
/** A layer's output and the gradients of its float inputs, with a non-uniform gradient of the output. */
export type Results = Float32Array[];

export const random = new Random(5, 'test');
export const below = (count: number) => Math.floor(random.uniform() * count);
export const floats = (shape: number[], size = 1): Given => ({
  shape,
  data: Float32Array.from(
    { length: shape.reduce((a, b) => a * b, 1) },
    () => (2 * random.uniform() - 1) * size,
  ),
});
export const ints = (shape: number[], values: number[]): Given => ({ shape, data: Int32Array.from(values) });

/** The same inputs with a NaN at one index. */
export const spoilt = (given: Given, at: number): Given => {
  const data = Float32Array.from(given.data);
  data[at] = Number.NaN;
  return { ...given, data };
};

/** Runs `layer` twice as a traced function; the second run must return the same bits. */
export async function run(
  layer: Layer,
  given: Given[],
  implementation: Implementation,
  precision: MatmulPrecision,
  withGradients = true,
): Promise<Results> {
  const builder = new ProgramBuilder();
  const specs = given.map(({ shape, data }, i) => [
    `x${i}`,
    { shape, dtype: data instanceof Float32Array ? 'float32' : 'int32' } as const,
  ]);
  const fn = builder.function('f', Object.fromEntries(specs), (inputs) =>
    withComputation({ implementation, precision }, () => {
      const tensors = given.map((_, i) => inputs[`x${i}`]!);
      const trained = tensors.filter((_, i) => given[i]!.data instanceof Float32Array);
      const weighted = () => {
        const y = layer(tensors);
        const weights = Float32Array.from({ length: y.size }, (_, i) => Math.cos(1 + 1.7 * i));
        return tf.sum(tf.mul(y, tf.tensor(weights, y.shape)));
      };
      const { grads } = withGradients
        ? tf.engine().gradients(weighted, trained, undefined, true)
        : { grads: [] };
      // Frozen inputs have no gradient.
      const results = [layer(tensors), ...(grads as (tf.Tensor | undefined)[])].flatMap((t) => t ?? []);
      return Object.fromEntries(results.map((t, i) => [`y${i}`, t]));
    }),
  );
  const program = builder.build();
  const feeds = Object.fromEntries(given.map(({ data }, i) => [`x${i}`, data]));
  const once = () => {
    const outputs = program.run(fn, feeds) as Record<string, { data: Float32Array }>;
    return Object.keys(outputs).map((_, i) => Float32Array.from(outputs[`y${i}`]!.data));
  };
  const results = once();
  assert.deepEqual(once(), results, 'a run repeats bit for bit');
  program.close();
  return results;
}

/** The largest difference, relative to the largest number. */
export function distance(got: Float32Array, expected: Float32Array): number {
  assert.equal(got.length, expected.length);
  const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-6);
  return got.reduce((most, x, i) => {
    const off = Math.abs(x - expected[i]!) / scale;
    return Math.max(most, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off);
  }, 0);
}

export async function agrees(
  layer: Layer,
  given: Given[],
  stock: Layer = layer,
  within: Record<MatmulPrecision, number> = { fp32: 2e-6, bf16: 0.02 },
): Promise<void> {
  const expected = await run(stock, given, 'stock', 'fp32');
  const ways = sets.flatMap((set) => (['fp32', 'bf16'] as const).map((precision) => ({ set, precision })));
  for (const { set, precision } of ways) {
    useKernels(set);
    const results = await run(layer, given, 'kernels', precision);
    results.forEach((result, i) => {
      const off = distance(result, expected[i]!);
      const what = i === 0 ? 'output' : `gradient ${i}`;
      assert.ok(
        off <= within[precision],
        `${set} in ${precision}: the ${what} is off by ${off}, ${JSON.stringify(given.map((g) => g.shape))}`,
      );
    });
  }
}
