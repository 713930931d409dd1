/** Compares every kernel but attention's, for each instruction set that this processor has, with the layer's stock implementation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multipliesBfloat16, tf, useKernels } from '@graft/tf-graph';
import { activation, gatedProduct } from './activations.ts';
import type { Implementation } from './computation.ts';
import { headLoss } from './cross-entropy.ts';
import { dropout } from './dropout.ts';
import { layerNorm } from './layer-norm.ts';
import { updatedLinear } from './low-rank.ts';
import { rmsNorm } from './rms-norm.ts';
import { takeRows } from './rows.ts';
import { scaledColumns, withBias } from './scaled-columns.ts';
import {
  agrees,
  below,
  distance,
  floats,
  type Given,
  ints,
  type Layer,
  run,
  sets,
  spoilt,
} from './testing/against-stock.ts';
import { updatedNorms } from './updated-norms.ts';
import type { Weight } from './weight.ts';

test('every processor has kernels, and a set that it lacks is refused', () => {
  assert.ok(sets.includes('baseline'), `${sets}`);
  assert.throws(() => useKernels('sse9'), /no kernels called sse9 here, only .*baseline, stock/);
});

test('the sets for processors that multiply bfloat16 numbers say so, matrix units among them', () => {
  for (const set of sets) {
    useKernels(set);
    assert.equal(multipliesBfloat16(), /bf16|amx/.test(set), set);
  }
  useKernels('auto');
});

test('rmsNorm, over rows and over heads', async () => {
  const norm: Layer = ([x, w]) => rmsNorm(x!, w!, 1e-5);
  for (const shape of [
    [3, 5],
    [7, 16],
    [1, 37],
    [33, 576],
    [4, 3, 20],
  ])
    await agrees(norm, [floats(shape), floats([shape.at(-1)!])]);
});

test('layerNorm, over rows and over heads, into products and into the stream', async () => {
  for (const isStream of [false, true]) {
    const norm: Layer = ([x, w, b]) => layerNorm(x!, w!, b!, 1e-5, { isStream });
    for (const shape of [
      [3, 5],
      [7, 16],
      [1, 37],
      [33, 384],
      [4, 3, 20],
    ]) {
      const width = shape.at(-1)!;
      // Far from 0, where a variance computed as the mean square minus the square of the mean would lose all digits.
      const far = floats(shape);
      far.data = far.data.map((x) => x + 30);
      for (const x of [floats(shape), far])
        await agrees(norm, [x, floats([width]), floats([width])], norm, { fp32: 2e-5, bf16: 0.02 });
    }
  }
});

/** Every activation but the identity, without synonyms. */
const curves = ['relu', 'leaky_relu', 'gelu', 'gelu_new', 'quick_gelu', 'silu', 'tanh', 'sigmoid'] as const;

test('activation and gatedProduct', async () => {
  for (const name of curves)
    for (const [rows, width] of [
      [1, 1],
      [5, 19],
      [33, 64],
    ] as const) {
      const gate = floats([rows, width], rows === 1 ? 1 : 6);
      // Stock operations compute the slope of tanh as 1 − t².
      const within = { fp32: 1e-5, bf16: 0.02 };
      const bent: Layer = ([x]) => activation(name)(x!);
      await agrees(bent, [gate], bent, within);
      const gated: Layer = ([gate, up]) => gatedProduct(name, [gate!, up!]);
      await agrees(gated, [gate, floats([rows, width])], gated, within);
    }
});

test('withBias and scaledColumns', async () => {
  for (const [rows, width] of [
    [1, 1],
    [5, 19],
    [70, 64],
  ] as const) {
    const given = [floats([rows, width]), floats([width])];
    await agrees(([x, bias]) => withBias(x!, bias!), given);
    await agrees(([x, factors]) => scaledColumns(x!, factors!), given);
  }
});

test('dropout keeps and drops what stock operations do', async () => {
  for (const shape of [
    [1, 1],
    [5, 19],
    [3, 7, 11],
    [70, 300],
  ])
    for (const [seed, part] of [
      [1, 2],
      [-5, 7],
      [0x7fffffff, -1],
    ])
      for (const p of [0.05, 0.1, 0.5]) {
        const drop: Layer = ([x, seed]) => dropout(x!, p, { seed: seed!, stream: 3 });
        await agrees(drop, [floats(shape), ints([2], [seed!, part!])]);
      }
});

const frozen = (tensor: tf.Tensor): Weight => ({
  kind: 'frozen',
  shape: tensor.shape,
  read: () => tensor,
  gather: (ids) => tf.gather(tensor, ids),
});

test('updatedLinear: several updates of one product, with gaps between their columns, of a frozen and a trained weight', async () => {
  for (const weightOf of [frozen, (tensor: tf.Tensor): Weight => ({ kind: 'trained', tensor })]) {
    const layer: Layer = ([x, w, bias, a1, b1, a2, b2]) =>
      updatedLinear(x!, { weight: weightOf(w!), bias: bias!, transposed: false }, [
        { a: a1!, b: b1!, scale: 2, offset: 3 },
        { a: a2!, b: b2!, scale: 0.5, offset: 20 },
      ]);
    const shapes = [[41, 13], [41], [4, 13], [9, 4], [3, 13], [18, 3]];
    for (const rows of [1, 6, 35])
      await agrees(layer, [floats([rows, 13]), ...shapes.map((shape) => floats(shape))]);
    const whole: Layer = ([x, w, a, b]) =>
      updatedLinear(x!, { weight: weightOf(w!), bias: null, transposed: true }, [
        { a: a!, b: b!, scale: 1, offset: 0 },
      ]);
    await agrees(whole, [floats([7, 16]), floats([16, 24]), floats([8, 16]), floats([24, 8])]);
  }
});

test('updatedLinear: each update drops what stock operations drop of its input', async () => {
  for (const [rows, width] of [
    [1, 5],
    [9, 300],
  ] as const) {
    const layer: Layer = ([x, w, a1, b1, a2, b2]) => {
      const dropout = { probability: 0.2, random: { seed: tf.tensor1d([3, -4], 'int32'), stream: 0 } };
      return updatedLinear(x!, { weight: frozen(w!), bias: null, transposed: false }, [
        { a: a1!, b: b1!, scale: 2, offset: 3, dropout },
        { a: a2!, b: b2!, scale: 0.5, offset: 20, dropout },
      ]);
    };
    const shapes = [
      [rows, width],
      [41, width],
      [4, width],
      [9, 4],
      [3, width],
      [18, 3],
    ];
    await agrees(
      layer,
      shapes.map((shape) => floats(shape)),
      layer,
      { fp32: 5e-6, bf16: 0.02 },
    );
  }
});

test('updatedNorms, of a weight stored either way; a channel of zeros gets 1', async () => {
  for (const [out, width, rank] of [
    [1, 1, 1],
    [13, 37, 3],
    [70, 64, 8],
  ] as const)
    for (const transposed of [false, true]) {
      const w = floats(transposed ? [width, out] : [out, width]);
      const [a, b] = [floats([rank, width]), floats([out, rank])];
      b.data.fill(0, 0, rank);
      for (let i = 0; i < width; i++) w.data[transposed ? i * out : i] = 0;
      const layer: Layer = ([w, a, b]) =>
        updatedNorms(frozen(w!), { a: a!, b: b!, scale: 0.5, transposed }, a!);
      const norms = async (implementation: Implementation) =>
        (await run(layer, [w, a, b], implementation, 'fp32', false))[0]!;
      const expected = await norms('stock');
      assert.equal(expected[0], 1);
      for (const set of sets) {
        useKernels(set);
        assert.ok(distance(await norms('kernels'), expected) < 2e-6, `${set}, ${out} × ${width}`);
      }
    }
});

test('headLoss: labels, ties, scales of 0 and a cap', async () => {
  for (const [rows, width, classes, cap] of [
    [1, 4, 7, undefined],
    [9, 16, 50, 3],
    [300, 8, 33, undefined],
  ] as const) {
    const labels = ints(
      [rows],
      Array.from({ length: rows }, () => below(classes)),
    );
    const scales = ints(
      [rows],
      Array.from({ length: rows }, (_, i) => i % 3),
    );
    const layer = (pick: 'total' | 'losses' | 'correct'): Layer => {
      return ([hidden, labels, scales, table]) => {
        const tensor = table!;
        const loss = headLoss(
          hidden!,
          { weight: { kind: 'trained', tensor }, ...(cap === undefined ? {} : { cap }) },
          labels!,
          tf.cast(scales!, 'float32'),
          true,
        );
        return pick === 'total' ? tf.reshape(loss.total, [1]) : tf.clone(loss[pick]);
      };
    };
    const given = [floats([rows, width], 2), labels, scales, floats([classes, width], 2)];
    await agrees(layer('total'), given);
    const outputs = async (pick: 'losses' | 'correct', implementation: Implementation) =>
      (await run(layer(pick), given, implementation, 'fp32', false))[0]!;
    assert.ok(distance(await outputs('losses', 'kernels'), await outputs('losses', 'stock')) < 2e-6);
    assert.deepEqual(await outputs('correct', 'kernels'), await outputs('correct', 'stock'));
  }
});

test('takeRows sums the gradients of rows that occur twice', async () => {
  const layer: Layer = ([x, index]) => takeRows(x!, index!);
  await agrees(layer, [floats([9, 37]), ints([6], [0, 8, 3, 3, 3, 1])]);
});

test('a NaN anywhere is a NaN in the end, and large numbers stay finite', async () => {
  const kernels = (layer: Layer, given: Given[]) => run(layer, given, 'kernels', 'fp32');
  const norm: Layer = ([x, w]) => rmsNorm(x!, w!, 1e-5);
  const [rows] = await kernels(norm, [spoilt(floats([2, 20]), 3), floats([20])]);
  assert.ok(rows!.subarray(0, 20).every(Number.isNaN));
  assert.ok(rows!.subarray(20).every(Number.isFinite));
  const layer: Layer = ([x, w, b]) => layerNorm(x!, w!, b!, 1e-5);
  const [normed] = await kernels(layer, [spoilt(floats([2, 20]), 3), floats([20]), floats([20])]);
  assert.ok(normed!.subarray(0, 20).every(Number.isNaN));
  assert.ok(normed!.subarray(20).every(Number.isFinite));
  for (const name of curves) {
    const bent: Layer = ([x]) => activation(name)(x!);
    for (const results of await kernels(bent, [spoilt(floats([1, 19], 1e30), 5)]))
      assert.deepEqual(
        Array.from(results, Number.isFinite),
        Array.from(results, (_, i) => i !== 5 || (results !== undefined && !Number.isNaN(results[5]))),
        name,
      );
    const [gated] = await kernels(
      ([gate, up]) => gatedProduct(name, [gate!, up!]),
      [floats([1, 6], 1e30), floats([1, 6])],
    );
    assert.ok(gated!.every(Number.isFinite));
  }
});
