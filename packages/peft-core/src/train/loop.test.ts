import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parsePeftConfig, type TrainingOptions } from '../config/index.ts';
import { type BaseModel, openBaseModel } from '../files.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { type TestTrainOptions, trainOptions, trainRecords } from '../testing/train-adapter.ts';
import { effectivePrecision, threadCount } from './precision.ts';
import type { TrainRecord } from './records.ts';
import { WarmModel } from './warm-model.ts';

let root: string;
let base: BaseModel;
let trainingFile: string;

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-train-'));
  await writeTinyModel(path.join(root, 'model'));
  base = await openBaseModel(path.join(root, 'model'));
  trainingFile = path.join(root, 'train.jsonl');
  const lines = Array.from({ length: 18 }, (_, i) => ({
    prompt: `${'x'.repeat(i % 5)}${i}:`,
    completion: ` ${i % 3}`,
  }));
  await writeFile(trainingFile, lines.map((line) => JSON.stringify(line)).join('\n'));
});
after(async () => {
  await base.close();
  await rm(root, { recursive: true });
});

function options(
  name: string,
  training: TrainingOptions = {},
  more: Partial<TestTrainOptions> = {},
): TestTrainOptions {
  return {
    ...trainOptions({
      base,
      trainingFile,
      exampleCount: 18,
      peft: { peft_type: 'LORA', r: 4, target_modules: 'all-linear', lora_dropout: 0.1 },
      training: { n_epochs: 4, learning_rate: 0.01, batch_size: 4, checkpoint_steps: 3, ...training },
      outputDir: path.join(root, name, 'adapter'),
    }),
    checkpointDir: path.join(root, name, 'checkpoints'),
    ...more,
  };
}

const losses = (records: TrainRecord[]) =>
  records.flatMap((r) => (r.type === 'step' ? [[r.step, r.loss, r.gradNorm]] : []));
const weights = (name: string) => readFile(path.join(root, name, 'adapter/adapter_model.safetensors'));

test('learns, counts what it trained, and ends with the adapter', async () => {
  const records = await trainRecords(options('learns'));
  const steps = records.filter((r) => r.type === 'step');
  assert.equal(steps.length, 20); // 18 examples in batches of 4, the last of each training epoch of 2; 4 epochs
  assert.ok(steps.at(-1)!.loss < steps[0]!.loss - 1, `${steps[0]!.loss} → ${steps.at(-1)!.loss}`);
  const start = records[0]!;
  const done = records.at(-1)!;
  assert.ok(start.type === 'start' && done.type === 'done');
  assert.equal(done.trainedTokens, start.tokensPerEpoch * 4);
  assert.deepEqual(done.files.map((f) => f.path).sort(), [
    'README.md',
    'adapter_config.json',
    'adapter_model.safetensors',
  ]);
});

test('the same job gives the same bits, also on a model kept warm', async () => {
  const warm = new WarmModel();
  const first = await trainRecords(options('first', {}, { warm }));
  const second = await trainRecords(options('second', {}, { warm }));
  const cold = await trainRecords(options('cold'));
  warm.close();
  assert.deepEqual(losses(second), losses(first));
  assert.deepEqual(losses(cold), losses(first));
  assert.deepEqual(await weights('second'), await weights('first'));
});

test('on a warm model, a job of the same shapes reads no weight again', async () => {
  const warm = new WarmModel();
  let reads = 0;
  const tensors = {
    names: () => base.tensors.names(),
    has: (name: string) => base.tensors.has(name),
    info: (name: string) => base.tensors.info(name),
    readBfloat16: (name: string, out?: Uint16Array) => base.tensors.readBfloat16(name, out),
    readFloat32: (name: string, out?: Float32Array) => {
      reads++;
      return base.tensors.readFloat32(name, out);
    },
  };
  const digest = () => base.digest();
  const counted = { ...base, digest, close: () => base.close(), tensors };
  await trainRecords(options('warm-1', {}, { base: counted, warm }));
  assert.equal(reads, base.tensors.names().length);
  const records = await trainRecords(
    options('warm-2', { learning_rate: 0.003, n_epochs: 2 }, { base: counted, warm }),
  );
  assert.equal(reads, base.tensors.names().length);
  const done = records.at(-1)!;
  assert.ok(done.type === 'done');
  await trainRecords(options('warm-3', {}, { base: counted, warm, initialAdapter: done.adapterDir }));
  assert.equal(reads, base.tensors.names().length, 'a continued LoRA uses the same program as a new one');
  warm.close();
});

test('cut off at any step and resumed from its checkpoint, a job ends with the same bits', async () => {
  const whole = await trainRecords(options('whole'));
  for (const step of [4, 7]) {
    const name = `cut-${step}`;
    await trainRecords(options(name), (r) => r.type === 'step' && r.step === step);
    const rest = await trainRecords(options(name, {}, { resume: true }));
    assert.ok(rest[0]!.type === 'start' && rest[0]!.resumedFrom === Math.floor(step / 3) * 3);
    assert.deepEqual(losses(rest), losses(whole).slice(rest[0]!.resumedFrom));
    assert.deepEqual(await weights(name), await weights('whole'));
  }
});

test('an aborted job leaves a checkpoint of the step it reached', async () => {
  const controller = new AbortController();
  const records = await trainRecords(options('aborted', {}, { signal: controller.signal }), (r) => {
    if (r.type === 'step' && r.step === 5) controller.abort();
    return false;
  });
  assert.deepEqual(
    records.slice(-2).map((r) => [r.type, 'step' in r && r.step]),
    [
      ['checkpoint', 5],
      ['stopped', 5],
    ],
  );
  const rest = await trainRecords(options('aborted', {}, { resume: true }));
  assert.ok(rest[0]!.type === 'start' && rest[0]!.resumedFrom === 5);
});

test('a checkpoint is also written after checkpoint_seconds, and reports its duration', async () => {
  const slow = options('seconds', { checkpoint_steps: 1000, checkpoint_seconds: 1 });
  const records = await trainRecords(slow, (record) => {
    // Makes this step slow.
    if (record.type === 'step' && record.step === 3)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1100);
    return record.type === 'checkpoint' && record.step >= 3;
  });
  const written = records.at(-1);
  assert.ok(written?.type === 'checkpoint' && written.step === 3, JSON.stringify(written));
  assert.ok(written.seconds > 0 && written.bytes > 1000);
  // The checkpoint interval does not change what a run computes.
  const [start] = await trainRecords(options('seconds', {}, { resume: true }), () => true);
  assert.ok(start?.type === 'start' && start.resumedFrom === 3);
});

test('a run is computed in the threads and precision and by the kernels that it needs, or not at all', async () => {
  const { training } = options('requirements');
  const precision = effectivePrecision(training.precision);
  const fits = { precision, threads: threadCount(), device: 'cpu', kernels: 'stock' } as const;
  await trainRecords(options('requirements', {}, { requirements: fits }), (r) => r.type === 'checkpoint');
  for (const other of [
    { threads: fits.threads + 1 },
    { precision: precision === 'fp32' ? 'bf16' : 'fp32' } as const,
    { kernels: 'sse9' },
    // A process without a GPU would compute this on the CPU.
    { device: 'gpu' } as const,
  ]) {
    const requirements = { ...fits, ...other };
    await assert.rejects(trainRecords(options('requirements', {}, { requirements })), {
      code: 'requirements_not_met',
      fault: 'environment',
    });
  }
  for (const other of [{ gpu: 'NVIDIA L4' }, { kernels: 'baseline' }]) {
    const resumed = options('requirements', {}, { requirements: { ...fits, ...other }, resume: true });
    const [start] = await trainRecords(resumed, () => true);
    assert.ok(start?.type === 'start' && start.resumedFrom === null);
    assert.match(start.passedOver[0]!.reason, /was computed otherwise/);
  }
});

test('a damaged checkpoint is passed over for the one before it', async () => {
  await trainRecords(options('damaged'), (r) => r.type === 'checkpoint' && r.step === 6);
  const file = path.join(root, 'damaged/checkpoints/00000001/step-00000006/state.safetensors');
  const bytes = await readFile(file);
  bytes[bytes.length - 3]! ^= 1;
  await writeFile(file, bytes);
  const [start] = await trainRecords(options('damaged', {}, { resume: true }), () => true);
  assert.ok(start?.type === 'start' && start.resumedFrom === 3);
  assert.deepEqual(start.passedOver, [{ step: 6, reason: 'it is damaged' }]);
  await trainRecords(options('damaged', {}, { resume: true }));
  assert.deepEqual(await weights('damaged'), await weights('whole'));
});

test('a checkpoint of other data or settings is not continued', async () => {
  await trainRecords(options('other'), (r) => r.type === 'checkpoint');
  const [start] = await trainRecords(options('other', { learning_rate: 0.02 }, { resume: true }), () => true);
  assert.ok(start?.type === 'start' && start.resumedFrom === null);
  assert.match(start.passedOver[0]!.reason, /other data or options, another base model/);
});

test('a checkpoint of another version is reported and kept, and the new run keeps its checkpoints too', async () => {
  const checkpoints = path.join(root, 'version/checkpoints');
  // A checkpoint where versions without folders per attempt wrote it.
  const old = path.join(checkpoints, 'step-00000500');
  await mkdir(old, { recursive: true });
  const manifest = {
    version: 2,
    codeVersion: 'train-2',
    identity: 'of train-2',
    step: 500,
    trainedTokens: 9,
    files: {},
  };
  await writeFile(path.join(old, 'manifest.json'), JSON.stringify(manifest));

  const resumed = options('version', {}, { resume: true });
  const records = await trainRecords(resumed, (r) => r.type === 'checkpoint' && r.step === 9);
  const [start] = records;
  assert.ok(start?.type === 'start' && start.resumedFrom === null && start.series === null);
  assert.deepEqual(start.passedOver, [{ step: 500, reason: 'another version of Graft wrote it' }]);
  assert.deepEqual((await readdir(checkpoints)).sort(), ['00000001', 'step-00000500']);
  assert.deepEqual(await readdir(path.join(checkpoints, '00000001')), ['step-00000006', 'step-00000009']);

  const [again] = await trainRecords(resumed, () => true);
  assert.ok(again?.type === 'start' && again.resumedFrom === 9);
  assert.equal(again.passedOver[0]?.reason, 'another version of Graft wrote it');
  const measured = records.flatMap((r) => (r.type === 'step' ? [r.loss] : []));
  assert.deepEqual([...again.series!.train.loss], measured, 'the losses up to it travel inside');
});

test('accumulated micro-batches, packed or not, checkpointed or not, take the same steps', async () => {
  const plain = losses(await trainRecords(options('plain', { batch_size: 4 })));
  const variants: [string, TrainingOptions][] = [
    ['accumulated', { batch_size: 2, gradient_accumulation_steps: 2 }],
    ['unpacked', { packing: false }],
    ['gradient-checkpointing', { gradient_checkpointing: true }],
  ];
  const exact = (name: string, training: TrainingOptions) => {
    const given = options(name, training);
    // Dropout depends on positions in the grid, so different layouts are comparable only without it.
    return { ...given, peft: { ...given.peft, lora_dropout: 0 } };
  };
  const reference = losses(await trainRecords(exact('reference', { batch_size: 4 })));
  assert.notDeepEqual(reference, plain, 'dropout changes the steps');
  for (const [name, training] of variants) {
    const found = losses(await trainRecords(exact(name, training)));
    for (const [i, [, loss]] of found.entries()) {
      assert.ok(
        Math.abs(loss! - reference[i]![1]!) < 1e-4,
        `${name}, step ${i + 1}: ${loss} and ${reference[i]![1]}`,
      );
    }
  }
});

test('bf16 products follow the fp32 curve closely, and repeat bit for bit', async () => {
  const fp32 = losses(await trainRecords(options('fp32', { precision: 'fp32' })));
  for (const base_dtype of ['fp32', 'bf16'] as const) {
    const bf16 = losses(await trainRecords(options(`bf16-${base_dtype}`, { precision: 'bf16', base_dtype })));
    assert.notDeepEqual(bf16, fp32);
    for (const [i, [, loss]] of bf16.entries()) {
      assert.ok(Math.abs(loss! - fp32[i]![1]!) < 0.05, `step ${i + 1}: ${loss} and ${fp32[i]![1]}`);
    }
    assert.deepEqual(
      losses(await trainRecords(options(`again-${base_dtype}`, { precision: 'bf16', base_dtype }))),
      bf16,
    );
  }
});

test('evaluates a split, which is not trained on', async () => {
  const records = await trainRecords(options('split', { validation_split: 0.2, eval_steps: 5 }));
  const start = records[0]!;
  assert.ok(start.type === 'start' && start.examples === 16);
  const evaluations = records.filter((r) => r.type === 'evaluation');
  assert.deepEqual(
    evaluations.map((r) => r.step),
    [5, 10, 15, 16],
  );
  assert.ok(evaluations.every((r) => r.loss > 0 && r.tokenAccuracy! >= 0 && r.tokenAccuracy! <= 1));
  assert.ok(evaluations.every((r) => Math.abs(r.metrics.perplexity! - Math.exp(r.loss)) < 1e-9));
});

test('a loss that is not a number ends the job with its reason', async () => {
  await assert.rejects(
    trainRecords(
      options(
        'diverges',
        { learning_rate: 1, lr_scheduler_type: 'constant', max_grad_norm: 0 },
        {
          peft: parsePeftConfig({ peft_type: 'LORA', r: 4, lora_alpha: 1e30, target_modules: 'all-linear' }),
        },
      ),
    ),
    { code: 'training_diverged', param: 'training.learning_rate' },
  );
});
