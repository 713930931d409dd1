/** Products of integers: against float64, and with the same bits in every instruction set, for a row alone and among others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelSets, ProgramBuilder, type TypedArray, tf, useKernels } from '@graft/tf-graph';
import { withComputation } from '../nn/computation.ts';
import { linear } from '../nn/linear.ts';
import { Random } from '../random.ts';
import { dequantiseInt8, quantiseInt8 } from './quantise/int8.ts';
import { dequantiseNf4, NF4, quantiseNf4 } from './quantise/nf4.ts';
import { int8Form, nf4Form, type WeightForm } from './weight-forms.ts';

const BLOCK = 64;
const random = new Random(11, 'test');
const normals = (size: number) => Float32Array.from({ length: size }, () => random.normal());

/** At 1.5 · 2²³ a float32 has no fractional bits. */
const roundToEven = (x: number) => Math.fround(x + 12_582_912) - 12_582_912;

/** x `(rows, inputs)` with each block rounded to whole multiples of its largest magnitude / 127. */
function rounded(x: Float32Array, inputs: number): Float64Array {
  const found = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += inputs)
    for (let from = row; from < row + inputs; from += BLOCK) {
      const block = x.subarray(from, Math.min(from + BLOCK, row + inputs));
      const largest = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const factor = largest > 0 ? Math.fround(127 / largest) : 0;
      for (const [i, value] of block.entries())
        found[from + i] = roundToEven(Math.fround(value * factor)) * Math.fround(largest / 127);
    }
  return found;
}

/** Runs x · Wᵀ for all rows at once, and for each by itself. */
async function products(
  form: WeightForm,
  packed: TypedArray[],
  x: Float32Array,
  inputs: number,
): Promise<{ together: Float32Array; alone: Float32Array }> {
  const rows = x.length / inputs;
  const builder = new ProgramBuilder();
  const parts = form.parts.map(({ suffix, shape, dtype }) =>
    builder.variable({ name: `w${suffix}`, shape, dtype }),
  );
  const run = builder.function('run', { x: { shape: [rows, inputs], dtype: 'float32' } }, ({ x }) =>
    withComputation({ implementation: 'kernels', rowByRow: true, roundsInputs: true }, () => {
      const weight = form.weight(parts, null);
      const alone = Array.from({ length: rows }, (_, i) =>
        linear(tf.slice(x as tf.Tensor2D, [i, 0], [1, inputs]), weight),
      );
      return { together: linear(x, weight), alone: tf.concat(alone) };
    }),
  );
  const program = builder.build();
  await program.write(parts.map(({ name }, i): [string, TypedArray] => [name, packed[i]!]));
  const found = program.run(run, { x });
  program.close();
  return { together: found.together.data as Float32Array, alone: found.alone.data as Float32Array };
}

/** A matrix `(outputs, inputs)` in a form, and the numbers by which integers are multiplied. */
function matrixOf(kind: 'int8' | 'nf4', outputs: number, inputs: number) {
  const shape = [outputs, inputs];
  const weights = normals(outputs * inputs);
  if (kind === 'int8') {
    const { codes, scales } = quantiseInt8(weights, shape, false);
    const values = dequantiseInt8({ codes, scales }, shape, false);
    return { form: int8Form(shape, false), packed: [codes, scales], values: Float64Array.from(values) };
  }
  const quantised = quantiseNf4(weights);
  // The sixteen values are rounded to multiples of 1 / 127, too.
  const exact = dequantiseNf4(quantised, weights.length);
  const values = Float64Array.from(exact, (value, i) => {
    const byte = quantised.codes[i >> 1]!;
    const number = NF4[i % 2 === 0 ? byte >> 4 : byte & 15]!;
    return number === 0 ? 0 : (value / number) * (Math.round(number * 127) / 127);
  });
  return { form: nf4Form(shape), packed: [new Uint8Array(quantised.codes.buffer)], values };
}

for (const [kind, rows, inputs, outputs] of [
  ['int8', 1, 64, 5],
  ['int8', 9, 576, 70],
  ['int8', 6, 13, 33],
  ['int8', 5, 200, 49],
  ['nf4', 1, 64, 16],
  ['nf4', 9, 576, 70],
  ['nf4', 23, 1536, 50],
] as const) {
  test(`${rows} rows of ${inputs} with ${outputs} rows of ${kind}`, async () => {
    const { form, packed, values } = matrixOf(kind, outputs, inputs);
    const x = normals(rows * inputs);
    // A block of zeros, one of small numbers, and one with an outlier.
    if (rows > 2) {
      x.fill(0, 0, Math.min(BLOCK, inputs));
      for (let i = inputs; i < inputs + 8; i++) x[i] = x[i]! * 1e-20;
      x[2 * inputs] = 300;
    }
    const codes = rounded(x, inputs);
    const expected = Float64Array.from({ length: rows * outputs }, (_, at) => {
      const [row, output] = [Math.floor(at / outputs), at % outputs];
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += codes[row * inputs + i]! * values[output * inputs + i]!;
      return sum;
    });
    const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    let first: Float32Array | null = null;
    for (const set of kernelSets().filter((each) => each !== 'stock')) {
      useKernels(set);
      const { together, alone } = await products(form, packed, x, inputs);
      assert.deepEqual(alone, together, `${set}: a row alone`);
      first ??= together;
      assert.deepEqual(together, first, `${set}: the bits of another set`);
      const off = together.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
      assert.ok(off < 2e-6 * scale, `${set}: off by ${off / scale}`);
    }
  });
}

test('a number that is not finite stays visible in the products of its row, and only there', async () => {
  const { form, packed } = matrixOf('nf4', 20, 128);
  for (const fault of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    for (const set of kernelSets().filter((each) => each !== 'stock')) {
      useKernels(set);
      // Matrix units multiply many rows.
      const x = normals(7 * 128);
      x[128 + 70] = fault;
      const { together } = await products(form, packed, x, 128);
      for (const [i, value] of together.entries())
        assert.equal(Number.isFinite(value), Math.floor(i / 20) !== 1, `${set}, ${fault}: ${i}`);
    }
});
