// A resumed run ends like an uninterrupted one: same losses, same evaluations, same bytes in the files. Tests each method, soft
// prompts with encoders included, with other options that carry state from one step to the next.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { TrainingOptions } from '../config/index.ts';
import { type BaseModel, openBaseModel } from '../files.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { trainOptions, trainRecords } from '../testing/train-adapter.ts';
import { methods } from '../tuners/methods.ts';
import type { CheckpointCandidate } from './checkpoints/manifest.ts';
import type { RecordOf, TrainRecord } from './records.ts';

const at = tempFolder();
let base: BaseModel;
before(async () => {
  await writeTinyModel(at('model'), { num_hidden_layers: 1 });
  base = await openBaseModel(at('model'));
  const lines = Array.from({ length: 14 }, (_, i) =>
    JSON.stringify({ prompt: `${'x'.repeat(i % 5)}${i}:`, completion: ` ${i % 3}` }),
  );
  writeFileSync(at('train.jsonl'), lines.join('\n'));
  const texts = Array.from({ length: 5 }, (_, i) => JSON.stringify({ text: `${'abc '.repeat(4 + i)}${i}` }));
  writeFileSync(at('split.jsonl'), texts.join('\n'));
});
after(() => base.close());

const [steps, cut] = [7, 4];
const common: TrainingOptions = {
  max_steps: steps,
  n_epochs: 9,
  learning_rate: 0.01,
  batch_size: 2,
  checkpoint_steps: cut,
};
const variants = {
  // The interruption is within a training epoch, between two evaluations, while the learning rate falls.
  accumulated: {
    gradient_accumulation_steps: 2,
    validation_split: 0.2,
    eval_steps: 3,
    warmup_steps: 2,
    weight_decay: 0.1,
  },
  // The interruption is at an evaluation, while the learning rate still rises.
  unpacked: {
    packing: false,
    validation_split: 0.2,
    eval_steps: 2,
    warmup_steps: 6,
    lr_scheduler_type: 'linear',
  },
  // Lines are longer than max_seq_length: the interruption is among their pieces.
  split: { max_seq_length: 8, text_stride: 3, validation_split: 0.2, eval_steps: 3 },
  recomputed: {
    gradient_checkpointing: true,
    lr_scheduler_type: 'constant',
    max_grad_norm: 0.1,
    precision: 'bf16',
  },
  fourBits: { base_dtype: 'nf4', gradient_accumulation_steps: 2 },
  // The best evaluation is of an average; the noise differs in each step.
  averaged: {
    neftune_noise_alpha: 5,
    ema_decay: 0.8,
    label_smoothing_factor: 0.1,
    loraplus_lr_ratio: 4,
    lr_scheduler_type: 'warmup_stable_decay',
    validation_split: 0.2,
    eval_steps: 2,
    load_best_model_at_end: true,
  },
} satisfies Record<string, TrainingOptions>;

const table: [name: string, peft: Record<string, unknown>, ...variants: (keyof typeof variants)[]][] = [
  // Start values from the weights, which must not be computed again.
  [
    'LORA from principal parts',
    { peft_type: 'LORA', r: 2, target_modules: 'all-linear', init_lora_weights: 'pissa_niter_2' },
    'averaged',
    'recomputed',
  ],
  [
    'LORA from the error of nf4, with dropout',
    { peft_type: 'LORA', r: 2, target_modules: 'all-linear', lora_dropout: 0.2, init_lora_weights: 'loftq' },
    'fourBits',
  ],
  // From the inputs of layers, which are not read again.
  [
    'LORA from inputs, with dropout',
    {
      peft_type: 'LORA',
      r: 2,
      target_modules: 'all-linear',
      lora_dropout: 0.2,
      init_lora_weights: 'eva',
      eva_config: { rho: 1.5 },
    },
    'accumulated',
    'recomputed',
    'fourBits',
  ],
  [
    'LORA with dropout',
    { peft_type: 'LORA', r: 2, target_modules: 'all-linear', lora_dropout: 0.2, bias: 'all' },
    'accumulated',
    'unpacked',
    'recomputed',
    'averaged',
  ],
  [
    'LORA with DoRA and the head',
    {
      peft_type: 'LORA',
      r: 2,
      target_modules: ['q_proj', 'embed_tokens'],
      use_dora: true,
      modules_to_save: ['lm_head'],
    },
    'accumulated',
  ],
  ['IA3', { peft_type: 'IA3' }, 'accumulated', 'split'],
  [
    'MISS with dropout',
    { peft_type: 'MISS', r: 5, target_modules: 'all-linear', miss_dropout: 0.2 },
    'accumulated',
    'recomputed',
  ],
  ['OFT', { peft_type: 'OFT', oft_block_size: 8, target_modules: 'all-linear' }, 'split', 'recomputed'],
  [
    'HIRA with dropout',
    { peft_type: 'HIRA', r: 2, target_modules: ['q_proj', 'embed_tokens'], hira_dropout: 0.2 },
    'accumulated',
    'recomputed',
  ],
  [
    'LOKR with dropout',
    { peft_type: 'LOKR', r: 2, target_modules: 'all-linear', rank_dropout: 0.2, module_dropout: 0.2 },
    'recomputed',
  ],
  ['LOHA', { peft_type: 'LOHA', r: 2, target_modules: ['v_proj'] }, 'unpacked'],
  [
    'VERA with dropout',
    { peft_type: 'VERA', r: 16, target_modules: 'all-linear', vera_dropout: 0.2, save_projection: false },
    'recomputed',
  ],
  ['LN_TUNING', { peft_type: 'LN_TUNING' }, 'unpacked'],
  ['TRAINABLE_TOKENS', { peft_type: 'TRAINABLE_TOKENS', token_indices: [51, 58, 111] }, 'accumulated'],
  ['SELECTIVE', { peft_type: 'SELECTIVE', kinds: ['norm', 'embedding'] }, 'unpacked'],
  [
    'BOTTLENECK with dropout',
    { peft_type: 'BOTTLENECK', preset: 'double_seq_bn', reduction_factor: 4, dropout: 0.2 },
    'accumulated',
    'recomputed',
  ],
  ['PROMPT_TUNING', { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 }, 'accumulated'],
  [
    'P_TUNING by an MLP',
    { peft_type: 'P_TUNING', num_virtual_tokens: 3, encoder_hidden_size: 5 },
    'unpacked',
  ],
  [
    'P_TUNING by an LSTM with dropout',
    {
      peft_type: 'P_TUNING',
      num_virtual_tokens: 3,
      encoder_hidden_size: 5,
      encoder_num_layers: 2,
      encoder_reparameterization_type: 'LSTM',
      encoder_dropout: 0.2,
    },
    'accumulated',
    'recomputed',
  ],
  ['PREFIX_TUNING', { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 3 }, 'unpacked'],
  [
    'PREFIX_TUNING by a projection',
    { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 3, prefix_projection: true, encoder_hidden_size: 6 },
    'accumulated',
  ],
];

test('every method is in the table', () => {
  const tried = new Set(table.map(([, peft]) => peft.peft_type));
  assert.deepEqual([...tried].sort(), Object.keys(methods).sort());
});

for (const [name, peft, ...tried] of table) {
  for (const variant of tried) {
    test(`${name}, ${variant}: resumed, it ends with the same bits`, async () => {
      const folder = at(`${name}-${variant}`.replaceAll(/\W+/g, '-'));
      const whole = await run(folder, 'whole', []);
      const written = checkpointsOf(whole);
      assert.deepEqual(
        written.map(({ step }) => step),
        [cut, steps],
      );
      for (const from of written) {
        const rest = await run(folder, `from-${from.step}`, [from]);
        const start = rest[0] as RecordOf<'start'>;
        assert.equal(start.resumedFrom, from.step);
        assert.deepEqual(
          measured(rest),
          measured(whole).filter(({ step }) => step > from.step),
        );
        assert.deepEqual(Array.from(start.series!.train.loss), losses(whole).slice(0, from.step));
        assert.deepEqual(resultOf(rest), resultOf(whole));
        assert.deepEqual(await filesOf(rest), await filesOf(whole));
      }
    });

    async function run(
      folder: string,
      part: string,
      candidates: CheckpointCandidate[],
    ): Promise<TrainRecord[]> {
      const options = trainOptions({
        base,
        peft,
        trainingFile: at(variant === 'split' ? 'split.jsonl' : 'train.jsonl'),
        exampleCount: 14,
        training: { ...common, ...variants[variant] },
        outputDir: path.join(folder, part, 'adapter'),
      });
      const checkpoints = { dir: path.join(folder, part, 'checkpoints'), candidates };
      return await trainRecords({ ...options, checkpoints, verify: true });
    }
  }
}

const checkpointsOf = (records: TrainRecord[]): CheckpointCandidate[] =>
  records.flatMap((r) => (r.type === 'checkpoint' ? [{ dir: r.dir, step: r.step, digest: r.digest }] : []));

const losses = (records: TrainRecord[]) => records.flatMap((r) => (r.type === 'step' ? [r.loss] : []));

/** Steps and evaluations without the fields that depend on the clock and the process. */
const measured = (records: TrainRecord[]) =>
  records.flatMap((record): { step: number }[] => {
    if (record.type === 'evaluation') return [record];
    if (record.type !== 'step') return [];
    const { tokensPerSecond: _, secondsRemaining: __, memoryBytes: ___, ...rest } = record;
    return [rest];
  });

const doneOf = (records: TrainRecord[]) => records.at(-1) as RecordOf<'done'>;

function resultOf(records: TrainRecord[]) {
  const { adapterDir: _, peakMemoryBytes: __, ...rest } = doneOf(records);
  return rest;
}

async function filesOf(records: TrainRecord[]): Promise<Map<string, Buffer>> {
  const { adapterDir } = doneOf(records);
  const names = await readdir(adapterDir);
  assert.ok(names.length >= 3, 'the model card is one of them');
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, await readFile(path.join(adapterDir, name))] as const),
    ),
  );
}
