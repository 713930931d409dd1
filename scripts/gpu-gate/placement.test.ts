/** Faults that Graft's graphs had and the gate finds, each in a separate program. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  attr,
  kernelSets,
  ProgramBuilder,
  rawOp,
  recordFunctions,
  tensorflowVersion,
  tf,
} from '@graft/tf-graph';
import { hostArguments, registryVersion } from './kernels.ts';
import { placementOf } from './placement.ts';

const ints = (...shape: number[]) => ({ shape, dtype: 'int32' }) as const;
const floats = (...shape: number[]) => ({ shape, dtype: 'float32' }) as const;

const as = (x: tf.Tensor, dtype: 'int32' | 'float32') => (x.dtype === dtype ? x : tf.cast(x, dtype));

/** The only function of a program. */
async function placed(define: (builder: ProgramBuilder) => void) {
  const functions = await recordFunctions(async () => {
    const builder = new ProgramBuilder();
    define(builder);
    builder.build().close();
  });
  return placementOf(functions[0]!);
}
const faultsOf = async (define: (builder: ProgramBuilder) => void) =>
  (await placed(define)).faults.map(({ kind, op }) => `${kind}: ${op}`);

test('the kernels are those of the TensorFlow that Graft runs on', () => {
  assert.equal(registryVersion, tensorflowVersion);
});

test('the host’s arguments of a kernel go with its types', () => {
  const of = (op: string, types: object) => hostArguments(op, new Map(Object.entries(types)));
  assert.deepEqual(of('Equal', { T: 'float32' }), new Set());
  assert.deepEqual(of('Equal', { T: 'int32' }), new Set(['x', 'y', 'z']));
  assert.deepEqual(of('StridedSlice', { T: 'uint8', Index: 'int32' }), new Set(['begin', 'end', 'strides']));
  assert.equal(of('Slice', { T: 'uint8', Index: 'int32' }), null);
  assert.equal(of('GatherV2', { Tparams: 'int8', Tindices: 'int32', Taxis: 'int32' }), null);
});

test('a slice of bytes has no kernel', async () => {
  const sliced = (op: string, ...bounds: number[][]) =>
    faultsOf((builder) => {
      const packed = builder.variable({ name: 'packed', shape: [1 << 20], dtype: 'uint8' });
      builder.function('f', {}, () => {
        const inputs = [packed.read(), ...bounds.map((each) => tf.tensor1d(each, 'int32'))];
        return { x: tf.cast(rawOp(op, [], inputs)[0]!, 'float32') };
      });
    });
  assert.deepEqual(await sliced('Slice', [4], [1 << 18]), ['no kernel: Slice']);
  assert.deepEqual(await sliced('StridedSlice', [4], [1 << 18], [1]), []);
});

test('rows of a table of bytes have no kernel, and four bytes at a time they have', async () => {
  const gathered = (read: (table: ReturnType<ProgramBuilder['variable']>, ids: tf.Tensor) => tf.Tensor) =>
    faultsOf((builder) => {
      const table = builder.variable({ name: 'table', shape: [32768, 64], dtype: 'int8' });
      builder.function('f', { ids: ints(16) }, ({ ids }) => ({ x: tf.cast(read(table, ids), 'float32') }));
    });
  const plain = await gathered(
    (table, ids) => rawOp('GatherV2', [], [table.read(), ids, tf.scalar(0, 'int32')])[0]!,
  );
  assert.deepEqual(plain, ['no kernel: GatherV2']);
  assert.deepEqual(await gathered((table, ids) => table.gather(ids)), []);
});

test('a mask over the square of a row’s tokens is compared on the host as integers, and on the device as float32', async () => {
  const mask = (dtype: 'int32' | 'float32') =>
    faultsOf((builder) => {
      builder.function('f', { segments: ints(2 * 256) }, ({ segments }) => {
        const own = tf.reshape(as(segments, dtype), [2, 256, 1]);
        return { mask: tf.cast(tf.equal(own, tf.reshape(own, [2, 1, 256])), 'float32') };
      });
    });
  assert.deepEqual(await mask('int32'), ['host memory: Equal', 'copy: Cast']);
  assert.deepEqual(await mask('float32'), []);
});

test('what the device has computed is not compared on the host', async () => {
  const hits = (dtype: 'int32' | 'float32') =>
    faultsOf((builder) => {
      builder.function('f', { logits: floats(8, 64), labels: ints(8) }, ({ logits, labels }) => {
        const best = as(tf.argMax(logits, -1), dtype);
        return { hits: tf.cast(tf.equal(best, as(labels, dtype)), 'float32') };
      });
    });
  assert.deepEqual(await hits('int32'), ['copy: Equal', 'copy: Cast']);
  assert.deepEqual(await hits('float32'), []);
});

test('integers that the host adds are not copied to the device', async () => {
  const faults = await faultsOf((builder) => {
    const table = builder.variable({ name: 'table', shape: [512, 8] });
    builder.function('f', { ids: ints(16) }, ({ ids }) => ({
      x: table.gather(tf.add(ids, tf.scalar(2, 'int32'))),
    }));
  });
  assert.deepEqual(faults, ['copy: GatherV2']);
});

test('a large constant of integers lies on the host', async () => {
  const placement = (dtype: 'int32' | 'float32') =>
    faultsOf((builder) => {
      builder.function('f', { ids: ints(16) }, ({ ids }) => {
        const numbers = tf.tensor1d(
          Array.from({ length: 32768 }, (_, i) => i),
          dtype,
        );
        return { x: tf.cast(tf.gather(numbers, ids), 'float32') };
      });
    });
  assert.deepEqual(await placement('int32'), ['host memory: Const', 'copy: GatherV2']);
  assert.deepEqual(await placement('float32'), []);
});

test('ops that raise, scatter in any order or run on the host where ops are to be deterministic', async () => {
  const loss = await faultsOf((builder) => {
    builder.function('f', { logits: floats(8, 64), labels: ints(8) }, ({ logits, labels }) => ({
      loss: rawOp('SparseSoftmaxCrossEntropyWithLogits', [], [logits, labels])[0]!,
    }));
  });
  assert.deepEqual(loss, ['nondeterministic: SparseSoftmaxCrossEntropyWithLogits']);
  const added = await faultsOf((builder) => {
    builder.function('f', { at: ints(8, 1), rows: floats(8, 4) }, ({ at, rows }) => ({
      x: rawOp('ScatterNd', [], [at, rows, tf.tensor1d([64, 4], 'int32')])[0]!,
    }));
  });
  assert.deepEqual(added, ['nondeterministic: ScatterNd']);
  const cached = await faultsOf((builder) => {
    const cache = builder.variable({ name: 'cache', shape: [64, 4] });
    builder.function('f', { at: ints(8), rows: floats(8, 4) }, ({ at, rows }) => {
      cache.assignRows(at, rows);
      return { x: tf.sum(cache.read()) };
    });
  });
  assert.deepEqual(cached, []);
});

test('one of Graft’s own kernels', async () => {
  assert.ok(kernelSets().length > 1, 'kernels are registered when they are first requested');
  const faults = await faultsOf((builder) => {
    builder.function('f', { x: floats(8, 64), at: ints(8) }, ({ x, at }) => ({
      y: rawOp('GraftScatterRows', [], [x, at, tf.zeros([64, 64])])[0]!,
    }));
  });
  assert.deepEqual(faults, ['kernel op: GraftScatterRows']);
});

test('feeds in other shapes, small constants and what is fetched are no faults; nodes and launches are counted', async () => {
  const { faults, nodes, launches, copies } = await placed((builder) => {
    builder.function('f', { ids: ints(4, 8), x: floats(32, 4) }, ({ ids, x }) => {
      const rows = tf.gather(x, tf.reshape(ids, [32]));
      const some = tf.gather(rows, tf.tensor1d([3, 1, 2], 'int32'));
      return { best: tf.argMax(some, -1), some: rawOp('Neg', [attr.type('T', 'float32')], [some])[0]! };
    });
  });
  assert.deepEqual(faults, []);
  assert.equal(copies, 1);
  assert.ok(nodes > launches);
  assert.equal(launches, 4); // two gathers, ArgMax and Neg
});
