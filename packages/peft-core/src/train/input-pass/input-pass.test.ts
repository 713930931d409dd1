// Start values from the inputs of layers: which positions count, whatever the batches of training are, and data from which there are none.
// test/golden/adapters/input-starts.test.ts compares them with those of HF PEFT.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { TrainingOptions } from '../../config/index.ts';
import { type BaseModel, openBaseModel, readAdapter } from '../../files.ts';
import { Random } from '../../random.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { tinyConfig, writeByteModel, writeTinyModel } from '../../testing/tiny-model.ts';
import { trainOptions, trainRecords } from '../../testing/train-adapter.ts';
import { WarmModel } from '../warm-model.ts';

const at = tempFolder();
let base: BaseModel;
before(async () => {
  await writeTinyModel(at('model'));
  base = await openBaseModel(at('model'));
  const lines = Array.from({ length: 48 }, (_, i) =>
    JSON.stringify({
      prompt: `${'the same beginning '.repeat(1 + (i % 2))}${i % 5}:`,
      completion: ` ${i % 3}`,
    }),
  );
  writeFileSync(at('train.jsonl'), lines.join('\n'));
  // Examples of one target each, at the end.
  writeFileSync(at('few.jsonl'), lines.slice(0, 2).join('\n'));
});
after(() => base.close());

const lora = { peft_type: 'LORA', r: 3, target_modules: 'all-linear', init_lora_weights: 'eva' };
let runs = 0;

/** The adapter after a step that changes nothing, and the examples that were read. */
async function startsOf(
  given: {
    r?: number;
    eva?: object;
    training?: TrainingOptions;
    file?: string;
    from?: BaseModel;
    shares?: boolean;
  } = {},
) {
  const { r = 3, eva = {}, training = {}, file = 'train.jsonl', from = base, shares = true } = given;
  const options = trainOptions({
    base: from,
    peft: { ...lora, r, eva_config: { rho: 1, tau: 1, ...eva } },
    trainingFile: at(file),
    exampleCount: 48,
    training: { max_steps: 1, learning_rate: 1e-30, batch_size: 2, precision: 'fp32', ...training },
    outputDir: at(`adapter-${runs++}`),
  });
  const records = await trainRecords({ ...options, sharesBeginnings: shares });
  const read = records.flatMap((record) => (record.type === 'inputs' ? [record] : []));
  assert.equal(read.at(-1)!.ended, true);
  return { tensors: (await readAdapter(options.outputDir)).tensors, read: read.at(-1)!.done };
}
type Started = Awaited<ReturnType<typeof startsOf>>;

function difference(a: Started, b: Started): number {
  let largest = 0;
  for (const [key, { data }] of a.tensors)
    for (const [i, value] of b.tensors.get(key)!.data.entries())
      largest = Math.max(largest, Math.abs(value - data[i]!));
  return largest;
}

test('packing, accumulation, recomputation and shared beginnings change no start value, and the seed the batches', async () => {
  const plain = await startsOf();
  assert.equal(plain.read, 48);
  const others: Parameters<typeof startsOf>[0][] = [
    { training: { packing: false } },
    { training: { gradient_accumulation_steps: 3 } },
    { training: { gradient_checkpointing: true, batch_size: 4 } },
    { shares: false },
  ];
  for (const other of others)
    assert.ok(difference(plain, await startsOf(other)) < 1e-5, JSON.stringify(other));
  assert.equal(difference(plain, await startsOf()), 0);
  assert.ok(difference(plain, await startsOf({ training: { seed: 5 } })) > 1e-4);
});

test('A has orthonormal rows, and modules with one input have the same', async () => {
  const { tensors } = await startsOf();
  const of = (module: string) => tensors.get(`base_model.model.model.layers.1.${module}.lora_A.weight`)!;
  const { data, shape } = of('self_attn.q_proj');
  const [rank, width] = shape as [number, number];
  for (let i = 0; i < rank; i++)
    for (let j = 0; j < rank; j++) {
      let product = 0;
      for (let k = 0; k < width; k++) product += data[i * width + k]! * data[j * width + k]!;
      assert.ok(Math.abs(product - (i === j ? 1 : 0)) < 1e-5);
    }
  assert.deepEqual(of('self_attn.v_proj').data, data);
  assert.deepEqual(of('mlp.gate_proj').data, of('mlp.up_proj').data);
  assert.notDeepEqual(of('mlp.up_proj').data, data);
});

test('the options: targets or all positions, a pass that ends early, whitened directions', async () => {
  const plain = await startsOf();
  assert.ok(difference(plain, await startsOf({ eva: { use_label_mask: false } })) > 0.1);
  const early = await startsOf({ eva: { tau: 0.5 } });
  assert.ok(early.read < 48, `${early.read}`);
  const whitened = await startsOf({ eva: { whiten: true } });
  const key = 'base_model.model.model.layers.1.mlp.down_proj.lora_A.weight';
  const [a, b] = [plain, whitened].map(({ tensors }) => tensors.get(key)!.data);
  // Each row times a number, which grows as directions matter less.
  const ratios = [0, 1, 2].map((row) => b![row * 64]! / a![row * 64]!);
  for (const [i, value] of b!.entries())
    assert.ok(Math.abs(value - ratios[Math.floor(i / 64)]! * a![i]!) < 1e-4);
  assert.ok(ratios[0]! < ratios[1]! && ratios[1]! < ratios[2]!);
});

test('redistributed ranks: as many directions as without, no module above the widest, and what is zero stays zero', async () => {
  const rowsOf = (tensors: Started['tensors']) =>
    [...tensors].flatMap(
      ([
        key,
        {
          data,
          shape: [rows, width],
        },
      ]) => {
        if (!key.includes('lora_A')) return [];
        const isSet = (row: number) =>
          data.subarray(row * width!, (row + 1) * width!).some((value) => value !== 0);
        return [{ rows: rows!, set: Array.from({ length: rows! }, (_, row) => isSet(row)) }];
      },
    );
  const given = { r: 8, eva: { rho: 1.5, use_label_mask: false }, training: { weight_decay: 0.1 } };
  const start = rowsOf((await startsOf(given)).tensors);
  assert.equal(start.length, 14);
  const counts = start.map(({ rows, set }) => {
    assert.equal(rows, 12);
    const count = set.filter(Boolean).length;
    assert.ok(set.slice(0, count).every(Boolean));
    return count;
  });
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    8 * 14,
  );
  assert.ok(new Set(counts).size > 2, counts.join());
  const more = { max_steps: 3, learning_rate: 0.01 };
  const trained = rowsOf((await startsOf({ ...given, training: { ...given.training, ...more } })).tensors);
  assert.deepEqual(trained, start);
});

test('on a quantised base, the inputs are those of that base', async () => {
  const quantised = await startsOf({ training: { base_dtype: 'nf4' } });
  const distance = difference(await startsOf(), quantised);
  assert.ok(distance > 1e-3 && distance < 2, `${distance}`);
});

test('jobs on one warm model read the inputs each by itself', async () => {
  const warm = new WarmModel();
  const run = async (peft: object, name: string) => {
    const options = trainOptions({
      base,
      peft: { ...lora, eva_config: { rho: 1, tau: 1 }, ...peft },
      trainingFile: at('train.jsonl'),
      exampleCount: 48,
      training: { max_steps: 2, learning_rate: 0.01, batch_size: 2, precision: 'fp32' },
      outputDir: at(name),
    });
    await trainRecords({ ...options, warm, sharesBase: true });
    return await readAdapter(options.outputDir);
  };
  try {
    const first = await run({}, 'warm-1');
    await run({ r: 2, eva_config: { rho: 1, use_label_mask: false } }, 'warm-2');
    assert.deepEqual((await run({}, 'warm-3')).tensors, first.tensors);
  } finally {
    warm.close();
  }
});

test('stopped within the pass, a job leaves no checkpoint, and starts over with the same bytes', async () => {
  const stop = new AbortController();
  const options = trainOptions({
    base,
    peft: { ...lora, eva_config: { rho: 1, tau: 1 } },
    trainingFile: at('train.jsonl'),
    exampleCount: 48,
    training: { max_steps: 2, learning_rate: 0.01, batch_size: 2, precision: 'fp32' },
    outputDir: at('stopped'),
  });
  const checkpointDir = at('stopped-checkpoints');
  const stopped = await trainRecords({ ...options, checkpointDir, signal: stop.signal }, ({ type }) => {
    if (type === 'start') stop.abort();
    return false;
  });
  assert.deepEqual(
    stopped.map(({ type }) => type),
    ['start', 'stopped'],
  );
  await trainRecords({ ...options, checkpointDir, resume: true });
  await trainRecords({ ...options, outputDir: at('whole') });
  const [resumed, whole] = [await readAdapter(at('stopped')), await readAdapter(at('whole'))];
  assert.deepEqual(resumed.tensors, whole.tensors);
});

test('data with too few positions, and inputs that are not numbers, are refused', async () => {
  await assert.rejects(startsOf({ file: 'few.jsonl', r: 9 }), {
    code: 'data_unfit_for_task',
    param: 'training_file',
    message:
      /needs more positions with a target than the rank, 9, and the training data has 6; add examples, or lower r/,
  });
  await assert.rejects(startsOf({ file: 'few.jsonl', r: 3, eva: { rho: 2 } }), {
    message:
      /than r times eva_config\.rho, 6, and the training data has 6; add examples, or lower r or eva_config\.rho/,
  });
  await startsOf({ file: 'few.jsonl', r: 5 });
  await writeByteModel(at('overflowing'), tinyConfig, ({ name, shape }, part) => {
    const random = new Random(1, 'test', part);
    const factor = name === 'model.layers.1.mlp.up_proj.weight' ? 1e38 : 0.1;
    const data = Float32Array.from({ length: elementCount(shape) }, () => factor * random.normal());
    return { name, shape, data };
  });
  const overflowing = await openBaseModel(at('overflowing'));
  try {
    await assert.rejects(startsOf({ from: overflowing }), {
      code: 'invalid_peft_config',
      param: 'peft.init_lora_weights',
      message: /reads the inputs of model\.layers\.1\.mlp\.down_proj, and one of them is not a number/,
    });
  } finally {
    await overflowing.close();
  }
});
