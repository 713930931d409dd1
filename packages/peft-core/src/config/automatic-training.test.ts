import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dpo } from '../objectives/dpo/objective.ts';
import { type AutomaticOption, trainingReasons } from './automatic-training.ts';
import { parsePeftConfig } from './peft-config.ts';
import { resolveTraining } from './resolve-training.ts';
import type { Hyperparameters, ResolvedTraining, TrainingOptions } from './training-options.ts';

interface Asked {
  peft?: object;
  training?: TrainingOptions;
  hyperparameters?: Hyperparameters;
  exampleCount?: number;
  format?: string;
  longestExample?: number;
  contextLength?: number;
  model?: { hiddenSize: number; rateExponent?: number };
  hasValidationFile?: boolean;
  continues?: boolean;
}

const alpha16 = { lora_alpha: 16, target_modules: 'all-linear' };

/** Each option with its value and its reason, as shown to users. With this number of examples a run is not a short one. */
function reasonsFor({
  peft = alpha16,
  training = {},
  hyperparameters = {},
  exampleCount = 352,
  ...more
}: Asked) {
  const { continues = false } = more;
  const config = parsePeftConfig({ peft_type: 'LORA', ...peft });
  const asked = { peft: config, training, hyperparameters };
  const resolved = resolveTraining({ ...asked, exampleCount, ...more });
  const reasons = Object.entries(trainingReasons({ ...asked, continues }, resolved)) as [
    AutomaticOption,
    string,
  ][];
  return Object.fromEntries(reasons.map(([option, reason]) => [option, `${resolved[option]}: ${reason}`]));
}

test('the reason of a rate that the reference pass decides has both values, and then the one that is used', () => {
  const peft = parsePeftConfig({ peft_type: 'LORA', ...alpha16 });
  const asked = { peft, training: {}, hyperparameters: {}, method: 'dpo' };
  const resolved = resolveTraining({ ...asked, exampleCount: 352, format: 'preference' });
  const { learning_rate_if_known: known } = resolved;
  assert.equal(
    trainingReasons(asked, resolved).learning_rate,
    `0.25 of what suits LoRA, for the method dpo; ${known!.toExponential()} if the reference pass, before the first step, finds that the base model gives the chosen answers already`,
  );
  assert.equal(
    trainingReasons(asked, { ...resolved, learning_rate: known! }).learning_rate,
    `${dpo.rateShares.known} of what suits LoRA, for the method dpo where the base model gives the chosen answers already`,
  );
});

test('every option that was left to Graft has its reason', () => {
  assert.deepEqual(reasonsFor({}), {
    learning_rate: '0.0002: what suits LoRA',
    n_epochs: '3: for up to 5,000 examples',
    batch_size: '8: for 8 examples a step',
    warmup_steps: '4: 3 % of all steps',
    max_seq_length: "2048: the longest example, within the base model's context; longer texts are split",
    eval_steps: '44: one training epoch',
    checkpoint_steps: '14: a tenth of all steps',
    greater_is_better: 'false: eval_loss is a loss',
  });
});

test('reasons follow what the job is and what it asks for', () => {
  const cases: [Asked, Record<string, string>][] = [
    [{ peft: { peft_type: 'IA3' } }, { learning_rate: '0.002: what suits (IA)³' }],
    [
      { hyperparameters: { learning_rate_multiplier: 3 } },
      { learning_rate: `${2e-4 * 3}: 2e-4, which suits LoRA, × learning_rate_multiplier 3` },
    ],
    [
      { peft: { peft_type: 'P_TUNING', num_virtual_tokens: 4, encoder_hidden_size: 8 } },
      { warmup_steps: '20: 15 % of all steps' },
    ],
    [{ training: { learning_rate: 'auto' } }, { learning_rate: '0.0002: what suits LoRA' }],
    [
      { model: { hiddenSize: 576, rateExponent: 0.781 } },
      { learning_rate: '0.0013: what suits LoRA on this base model for this number of steps' },
    ],
    [
      { model: { hiddenSize: 4096, rateExponent: 0.781 }, hyperparameters: { learning_rate_multiplier: 3 } },
      {
        learning_rate: `${2.9e-4 * 3}: 2.9e-4, which suits LoRA on this base model for this number of steps, × learning_rate_multiplier 3`,
      },
    ],
    [{ model: { hiddenSize: 768 } }, { learning_rate: '0.0002: what suits LoRA' }],
    [
      { peft: { peft_type: 'IA3' }, model: { hiddenSize: 576, rateExponent: 0.781 } },
      { learning_rate: '0.013: what suits (IA)³ on this base model for this number of steps' },
    ],
    [{ exampleCount: 5001 }, { n_epochs: '2: for more than 5,000 examples' }],
    [
      { exampleCount: 20_001 },
      { n_epochs: '1: for more than 20,000 examples', checkpoint_steps: '251: a tenth of all steps' },
    ],
    [{ exampleCount: 90_000 }, { checkpoint_steps: '500: a tenth of all steps, but at most 500' }],
    [
      { exampleCount: 5 },
      {
        batch_size: '5: all examples that there are',
        learning_rate: '0.0004: what suits LoRA on this base model for this number of steps',
      },
    ],
    [
      { exampleCount: 5, model: { hiddenSize: 32, rateExponent: 0.781 } },
      { learning_rate: '0.005: what suits LoRA on this base model for this number of steps' },
    ],
    [
      { training: { gradient_accumulation_steps: 3 } },
      { batch_size: '8: for 24 examples a step, with gradient_accumulation_steps 3' },
    ],
    [{ continues: true }, { learning_rate: '0.0001: half of what suits LoRA where an adapter is continued' }],
    [
      { continues: true, model: { hiddenSize: 576, rateExponent: 0.781 } },
      { learning_rate: '0.00065: what suits LoRA where an adapter is continued' },
    ],
    [
      { continues: true, hyperparameters: { learning_rate_multiplier: 2 } },
      {
        learning_rate:
          '0.0002: 1e-4, half of what suits LoRA where an adapter is continued, × learning_rate_multiplier 2',
      },
    ],
    [{ training: { max_steps: 9 } }, { warmup_steps: '0: none in fewer than 10 steps' }],
    [
      { training: { lr_scheduler_type: 'constant' } },
      { warmup_steps: '0: a constant rate does not rise unless it is asked to' },
    ],
    [{ training: { lr_scheduler_type: 'constant_with_warmup' } }, { warmup_steps: '4: 3 % of all steps' }],
    [
      { training: { n_epochs: 1 } },
      { eval_steps: '11: one training epoch, or a quarter of a run of fewer than three' },
    ],
    [
      { training: { n_epochs: 3, max_steps: 200 } },
      { n_epochs: '5: more than the requested 3: max_steps needs them' },
    ],
    [
      { training: { max_steps: 200 } },
      { n_epochs: '5: for few examples, or for as many steps as max_steps' },
    ],
    [
      { training: { early_stopping_patience: 1 }, hasValidationFile: true },
      { load_best_model_at_end: 'true: as early_stopping_patience is for' },
    ],
    [
      { peft: { task_type: 'FEATURE_EXTRACTION' } },
      { batch_size: '32: for 31 other pairs, whose texts are negatives' },
    ],
    [
      { peft: { task_type: 'FEATURE_EXTRACTION' }, exampleCount: 20 },
      { batch_size: '20: all examples that there are' },
    ],
    [
      { peft: { task_type: 'FEATURE_EXTRACTION' }, format: 'scored_pairs' },
      { batch_size: '8: for 8 examples a step' },
    ],
    [
      { training: { max_seq_length: 2049 } },
      {
        gradient_checkpointing:
          'true: with max_seq_length above 2048 it halves the memory, and takes a tenth of the time',
      },
    ],
    [
      { contextLength: 512 },
      { max_seq_length: "512: the longest example, within the base model's context; longer texts are split" },
    ],
    [
      { contextLength: 8192, longestExample: 4999 },
      {
        max_seq_length: "5000: the longest example, within the base model's context; longer texts are split",
      },
    ],
    [
      { training: { metric_for_best_model: 'eval_accuracy' } },
      { greater_is_better: 'true: eval_accuracy is no loss' },
    ],
  ];
  for (const [asked, wanted] of cases) {
    const found = reasonsFor(asked);
    for (const [option, text] of Object.entries(wanted)) assert.equal(found[option], text);
  }
});

test('requested values have no reason, nor have values of an earlier rule', () => {
  const asked: TrainingOptions = {
    learning_rate: 2e-4,
    warmup_steps: 3,
    max_seq_length: 2048,
    eval_steps: 30,
    checkpoint_steps: 10,
    greater_is_better: false,
  };
  const long = { max_seq_length: 4096, gradient_checkpointing: false };
  assert.equal('gradient_checkpointing' in reasonsFor({ training: long }), false);
  const found = reasonsFor({ training: asked, hyperparameters: { n_epochs: 3, batch_size: 8 } });
  assert.deepEqual(found, {});
  const peft = parsePeftConfig({ peft_type: 'LORA', ...alpha16 });
  const earlier = { n_epochs: 40, batch_size: 16, learning_rate: 0.5, max_seq_length: 4096 };
  const { text_stride: _, ...before } = resolveTraining({ peft, exampleCount: 240 });
  const resolved = { ...before, ...earlier } as ResolvedTraining;
  const reasons = trainingReasons({ peft, training: {}, hyperparameters: {} }, resolved);
  assert.deepEqual(
    Object.keys(earlier).filter((option) => option in reasons),
    [],
  );
  // An earlier version divided the batch and warmed up a constant rate; its jobs keep these values and their reasons.
  const divided: ResolvedTraining = {
    ...resolved,
    batch_size: 2,
    gradient_accumulation_steps: 4,
    lr_scheduler_type: 'constant',
    warmup_steps: 4,
    load_best_model_at_end: false,
  };
  const { batch_size, warmup_steps, load_best_model_at_end } = trainingReasons(
    { peft, training: { early_stopping_patience: 2 }, hyperparameters: {} },
    divided,
  );
  assert.deepEqual(
    [batch_size, warmup_steps, load_best_model_at_end],
    ['for 8 examples a step, with gradient_accumulation_steps 4', '3 % of all steps', undefined],
  );
});
