import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import {
  kernelSets,
  nestedGrads,
  type OutputTensors,
  ProgramBuilder,
  type RunOutputs,
  scalarOf,
  tf,
  useKernels,
} from '@graft/tf-graph';
import { checkGradients, tracedOperations } from '@graft/tf-graph/testing';
import type { Target } from '../block-sizes/limits.ts';
import { readSafetensors, type SafetensorsFile, writeSafetensors } from '../files.ts';
import { exactly, layingOutFor, withComputation } from '../nn/computation.ts';
import { headLoss } from '../nn/cross-entropy.ts';
import { embedding } from '../nn/embedding.ts';
import { expertColumns } from '../nn/experts/experts.ts';
import { linear } from '../nn/linear.ts';
import { type FrozenWeight, type Weight, weightValue } from '../nn/weight.ts';
import { Random } from '../random.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { dequantiseInt8, quantiseInt8 } from './quantise/int8.ts';
import { dequantiseNf4, nf4Table, quantiseNf4 } from './quantise/nf4.ts';
import { int8Form, nf4Form, plainForm, type WeightForm } from './weight-forms.ts';

/** Whole blocks and a partial group; more than one group; a partial block and an odd number of weights; (in, out); two slices; a stack. */
const shapes = {
  small: [6, 64],
  groups: [130, 256],
  odd: [5, 13],
  turned: [24, 40],
  head: [70_000, 64],
  stack: [5, 106, 192],
};
type Name = keyof typeof shapes;

let folder: string;
let tensors: SafetensorsFile;
const values = new Map<string, Float32Array>();
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-forms-'));
  const written = Object.entries(shapes).map(([name, shape], part) => {
    const random = new Random(7, 'test', part);
    const data = Float32Array.from({ length: elementCount(shape) }, () => random.normal());
    values.set(name, data);
    return { name, shape, data };
  });
  const file = path.join(folder, 'weights.safetensors');
  await writeSafetensors(file, written);
  tensors = await readSafetensors(file);
});
after(async () => {
  await tensors.close();
  await rm(folder, { recursive: true });
});

const ways = {
  eager: { implementation: 'stock' },
  graph: { implementation: 'stock' },
  kernels: { implementation: 'kernels' },
} as const;
type Way = keyof typeof ways;

/** The result of `body` for the weight `name` in a form, loaded from the file. `body` sees the weight as a layer does. */
async function runOn<O extends OutputTensors>(
  name: Name,
  form: WeightForm,
  body: (weight: Weight) => O,
  way: Way = 'graph',
): Promise<RunOutputs<O>> {
  const builder = new ProgramBuilder();
  const table = builder.variable({ name: 'table', shape: [65_536, 4] });
  const parts = form.parts.map(({ suffix, shape, dtype }) =>
    builder.variable({ name: name + suffix, shape, dtype }),
  );
  const { implementation } = ways[way];
  const run = builder.function('run', {}, () =>
    withComputation({ implementation }, () => body(form.weight(parts, table))),
  );
  const program = way === 'eager' ? builder.buildEager() : builder.build();
  await program.write([['table', nf4Table()]]);
  await program.fill([
    { names: parts.map(({ name }) => name), write: (values) => form.write(tensors, name, values) },
  ]);
  const outputs = program.run(run, {});
  program.close();
  return outputs;
}

async function read(name: Name, form: WeightForm, way: Way): Promise<Float32Array> {
  const { value } = await runOn(name, form, (weight) => ({ value: weightValue(weight) }), way);
  assert.deepEqual(value.shape, shapes[name]);
  return value.data as Float32Array;
}

for (const name of ['small', 'groups', 'odd', 'turned'] as const) {
  test(`unpacked by each kernel, in a graph and eagerly as on the host, bit for bit: ${name} ${shapes[name]}`, async () => {
    const [shape, weights] = [shapes[name], values.get(name)!];
    const turned = name === 'turned';
    const nf4 = dequantiseNf4(quantiseNf4(weights), weights.length);
    const int8 = dequantiseInt8(quantiseInt8(weights, shape, turned), shape, turned);
    const tried: [Way, string][] = kernelSets().map((set) => ['kernels', set]);
    for (const [way, set] of [...tried, ['graph', 'stock'], ['eager', 'stock']] as [Way, string][]) {
      if (way === 'kernels' && set === 'stock') continue;
      useKernels(set);
      assert.deepEqual(await read(name, nf4Form(shape), way), nf4, set);
      assert.deepEqual(await read(name, int8Form(shape, turned), way), int8, set);
      assert.deepEqual(await read(name, plainForm(shape, 'float32'), way), weights, set);
    }
  });
}

test('serving multiplies by stored matrices as by unpacked ones, bit for bit, each row as if alone', async () => {
  for (const name of ['small', 'groups', 'odd', 'head'] as const) {
    const [outputs, inputs] = shapes[name] as [number, number];
    const forms = {
      bfloat16: plainForm([outputs, inputs], 'bfloat16'),
      int8: int8Form([outputs, inputs], false),
    };
    const tried = inputs % 64 === 0 ? { ...forms, nf4: nf4Form([outputs, inputs]) } : forms;
    const random = new Random(3, 'test');
    const x = Float32Array.from({ length: 7 * inputs }, () => random.normal());
    for (const set of kernelSets().filter((each) => each !== 'stock')) {
      useKernels(set);
      for (const [kind, form] of Object.entries(tried)) {
        const products = (weight: Weight) =>
          withComputation({ rowByRow: true }, () => {
            const { rowProduct, ...unpacked } = weight as FrozenWeight;
            assert.ok(rowProduct, 'the stored matrix has a product');
            const rows = tf.tensor2d(x, [7, inputs]);
            const alone = Array.from({ length: 7 }, (_, i) =>
              linear(tf.slice(rows, [i, 0], [1, inputs]), weight),
            );
            return {
              stored: linear(rows, weight),
              unpacked: linear(rows, unpacked),
              alone: tf.concat(alone),
            };
          });
        const found = await runOn(name, form, products, 'kernels');
        const what = `${set}, ${kind}, ${name}`;
        assert.deepEqual(found.stored.data, found.unpacked.data, what);
        assert.deepEqual(found.alone.data, found.unpacked.data, what);
      }
    }
  }
});

test("experts' stored matrices are multiplied as unpacked ones, bit for bit, and so are their gradients", async () => {
  const random = new Random(4, 'test');
  const [tokens, [E, , inputs]] = [40, shapes.stack as [number, number, number]];
  const x = Float32Array.from({ length: tokens * inputs }, () => random.normal());
  // No token has the last expert.
  const chosen = Int32Array.from({ length: 2 * tokens }, (_, i) => (i * 3 + Math.floor(i / 5)) % (E - 1));
  for (const set of kernelSets().filter((each) => each !== 'stock')) {
    useKernels(set);
    for (const [kind, form] of Object.entries({
      int8: int8Form(shapes.stack, false),
      nf4: nf4Form(shapes.stack),
    }))
      for (const precision of ['fp32', 'bf16'] as const) {
        const multiplied = (weight: Weight) => {
          const experts = tf.tensor2d(chosen, [tokens, 2], 'int32');
          const choice = { count: E, experts, weights: tf.zeros([tokens, 2]), blocks: null };
          const of = (x: tf.Tensor) => tf.concat(expertColumns(x, weight, choice, 2).map(exactly), 1);
          const rows = tf.tensor2d(x, [tokens, inputs]);
          const y = of(rows);
          return { y, dx: nestedGrads(of)([rows], tf.sin(y))[0] };
        };
        const products = (weight: Weight) =>
          withComputation({ precision }, () => {
            const { expertProduct, ...unpacked } = weight as FrozenWeight;
            assert.ok(expertProduct, 'the stored stack has a product');
            const [stored, whole] = [multiplied(weight), multiplied(unpacked)];
            return { y: stored.y, dx: stored.dx, wholeY: whole.y, wholeDx: whole.dx };
          });
        const found = await runOn('stack', form, products, 'kernels');
        assert.deepEqual(found.y.data, found.wholeY.data, `${set}, ${kind}, ${precision}`);
        assert.deepEqual(found.dx.data, found.wholeDx.data, `${set}, ${kind}, ${precision}: gradient`);
      }
  }
});

test('rows are gathered as they are read', async () => {
  const ids = [4, 0, 4, 2];
  for (const [name, form] of [
    ['small', int8Form(shapes.small, false)],
    ['odd', int8Form(shapes.odd, false)], // Not a multiple of four bytes.
    ['small', nf4Form(shapes.small)],
    ['small', plainForm(shapes.small, 'float32')],
  ] as const) {
    const whole = await read(name, form, 'graph');
    const width = shapes[name][1]!;
    const rows = ids.flatMap((id) => [...whole.subarray(id * width, (id + 1) * width)]);
    for (const way of ['graph', 'eager', 'kernels'] as const) {
      const gathered = (weight: Weight) => ({ rows: embedding(tf.tensor1d(ids, 'int32'), weight) });
      assert.deepEqual([...(await runOn(name, form, gathered, way)).rows.data], rows);
    }
  }
});

test('a gradient passes through a quantised weight, forward and backward with the same values', async () => {
  for (const name of ['small', 'turned', 'odd'] as const) {
    const transposed = name === 'turned';
    const width = transposed ? shapes[name][0]! : shapes[name][1]!;
    const x = tf.randomUniform([3, width], -1, 1, 'float32', 5);
    for (const form of [nf4Form(shapes[name]), int8Form(shapes[name], transposed)]) {
      const check = (weight: Weight) => {
        checkGradients((x) => linear(x, weight, null, transposed), [x]);
        return {};
      };
      await runOn(name, form, check, 'eager');
    }
    x.dispose();
  }
});

test('a head is computed in slices: the loss and its gradient are those of the whole', async () => {
  const [rows, vocabulary] = [5, shapes.head[0]!];
  const x = tf.randomUniform([rows, 64], -1, 1, 'float32', 9);
  const labels = tf.tensor1d([0, 65_535, 65_536, vocabulary - 1, 7], 'int32');
  const scales = tf.tensor1d([1, 2, 3, 4, 5]);
  const form = int8Form(shapes.head, false);
  const body = (weight: Weight) => {
    assert.ok(weight.kind === 'frozen');
    const { slices, ...whole } = weight;
    assert.deepEqual(
      slices!.map((slice) => slice.rows),
      [65_536, vocabulary - 65_536],
    );
    const loss = (weight: Weight) => (x: tf.Tensor) => headLoss(x, { weight }, labels, scales, true).total;
    const [sliced, plain] = [tf.valueAndGrad(loss(weight))(x), tf.valueAndGrad(loss(whole))(x)];
    return {
      value: tf.sub(sliced.value, plain.value),
      grad: tf.sub(sliced.grad, plain.grad),
      of: plain.grad,
    };
  };
  const { value, grad, of } = await runOn('head', form, body, 'eager');
  assert.ok(Math.abs(scalarOf(value)) < 1e-4);
  const largest = (data: ArrayLike<number>) => Math.max(...Array.from(data, Math.abs));
  assert.ok(largest(grad.data) < 1e-5 * largest(of.data));
});

test('a GPU takes a head in few, large products: loss and gradient are those of many small ones', async () => {
  const [rows, vocabulary] = [300, shapes.head[0]!];
  const labels = tf.tensor1d(
    Array.from({ length: rows }, (_, i) => (i * 233) % vocabulary),
    'int32',
  );
  const x = tf.randomUniform([rows, 64], -1, 1, 'float32', 9);
  const hidden = [...x.dataSync()];
  const scales = tf.fill([rows], 1 / rows);
  const on = async (target: Target) => {
    let products = 0;
    let results: RunOutputs<Record<'value' | 'grad', tf.Tensor>> | undefined;
    await layingOutFor(target, async () => {
      const form = int8Form(shapes.head, false);
      const counts = await tracedOperations(async () => {
        results = await runOn('head', form, (weight) => {
          const loss = (x: tf.Tensor) => headLoss(x, { weight }, labels, scales, true).total;
          return tf.valueAndGrad(loss)(tf.tensor2d(hidden, [rows, 64]));
        });
      });
      products = counts.get('BatchMatMulV2')!;
    });
    return { products, value: scalarOf(results!.value), grad: results!.grad.data };
  };
  const [cpu, gpu] = [await on('cpu'), await on('gpu')];
  // Two chunks of labels times two slices of the vocabulary, forward and backward.
  assert.deepEqual([cpu.products, gpu.products], [8, 2]);
  assert.ok(Math.abs(cpu.value - gpu.value) < 1e-5 * cpu.value);
  const largest = (data: ArrayLike<number>) => Math.max(...Array.from(data, Math.abs));
  const difference = Float32Array.from(gpu.grad, (g, i) => g - cpu.grad[i]!);
  assert.ok(largest(difference) < 1e-5 * largest(cpu.grad));
});
