import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig, type ResolvedTraining, resolveTraining } from '../config/index.ts';
import type { EstimatedJob, Machine } from './estimate.ts';
import { estimateTraining } from './estimate-training.ts';
import { fittingChanges } from './fitting-changes.ts';

const machine: Machine = { device: 'cpu', precision: 'fp32', threads: 2, kernels: true, flops: null };
const modelConfig = {
  model_type: 'llama',
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  vocab_size: 49152,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  rope_theta: 10000,
  tie_word_embeddings: true,
};

/** 64 examples of `length` tokens. */
function jobOf(training: Partial<ResolvedTraining>, length = 1000): EstimatedJob {
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 8, target_modules: 'all-linear' });
  const size = { widths: [length - 1], inputWidth: 0, labels: length - 1, tokens: length };
  const sizes = Array.from({ length: 64 }, () => size);
  return {
    modelConfig,
    peft,
    training: resolveTraining({ peft, exampleCount: 64, training }),
    data: { format: 'text', labels: null, training: { examples: 64, sizes }, validation: null },
  };
}

const peakOf = (job: EstimatedJob, training: Partial<ResolvedTraining> = {}) =>
  estimateTraining({ ...job, training: { ...job.training, ...training } }, machine).peakMemoryBytes;
/** Options with the least memory, so that one more change is never enough. */
const least = { batch_size: 1, gradient_checkpointing: true, base_dtype: 'nf4' } as const;

test('each change that is enough alone, no larger than it must be', () => {
  const job = jobOf({ batch_size: 16, gradient_accumulation_steps: 2 });
  const memory = peakOf(job, { batch_size: 4, gradient_accumulation_steps: 8 });
  const changes = fittingChanges(job, machine, memory);
  assert.deepEqual(changes[0], {
    training: { batch_size: 4, gradient_accumulation_steps: 8 },
    peakMemoryBytes: memory,
  });
  for (const { training, peakMemoryBytes } of changes) assert.ok(peakMemoryBytes <= memory, `${training}`);
  const options = changes.map(({ training }) => Object.keys(training)[0]);
  assert.deepEqual(options, [...new Set(options)]);
  const order = ['batch_size', 'gradient_checkpointing', 'base_dtype', 'max_seq_length'];
  assert.deepEqual(
    options,
    order.filter((option) => options.includes(option)),
  );
  const length = changes.find(({ training }) => training.max_seq_length)?.training.max_seq_length;
  assert.ok(length !== undefined && length % 32 === 0 && length < 1000, `${length}`);
  const longer = jobOf({ batch_size: 16, gradient_accumulation_steps: 2 }, length + 32);
  assert.ok(peakOf(longer) > memory, 'the next longer one does not fit');
});

test('a step keeps its number of examples, also where that cannot be halved', () => {
  const job = jobOf({ batch_size: 5 });
  const wanted = { batch_size: 2, gradient_accumulation_steps: 3 };
  const [change] = fittingChanges(job, machine, peakOf(job, wanted));
  assert.deepEqual(change?.training, wanted);
});

test('no batch of kto is smaller than the two completions that it compares', () => {
  const text = jobOf({ batch_size: 4 });
  const judged = { ...text, method: 'kto', data: { ...text.data, format: 'unpaired_preference' } } as const;
  const memory = peakOf(judged, { ...least, gradient_accumulation_steps: 4 });
  const sizes = (job: EstimatedJob) =>
    fittingChanges(job, machine, memory).flatMap(({ training }) => training.batch_size ?? []);
  assert.deepEqual([sizes(text), sizes(judged)], [[1], [2]]);
});

test('changes are combined where none is enough alone', () => {
  const job = jobOf({ batch_size: 4 });
  const all = { ...least, gradient_accumulation_steps: 4 };
  const memory = peakOf(job, all);
  const single = [{ batch_size: 1 }, { gradient_checkpointing: true }, { base_dtype: 'nf4' }] as const;
  assert.ok(single.every((training) => peakOf(job, training) > memory));
  const [change, ...more] = fittingChanges(job, machine, memory);
  assert.deepEqual(more, []);
  assert.deepEqual(change, { training: all, peakMemoryBytes: memory });
});

test('a batch of pairs keeps its size, and is embedded in mini-batches of the largest size that fits', () => {
  const peft = parsePeftConfig({ peft_type: 'LORA', task_type: 'FEATURE_EXTRACTION', r: 8 });
  const size = { widths: [200, 200], inputWidth: 0, labels: 1, tokens: 400 };
  const training = { examples: 64, sizes: Array.from({ length: 64 }, () => size) };
  const job = (format: 'pairs' | 'scored_pairs'): EstimatedJob => ({
    modelConfig,
    peft,
    training: resolveTraining({ peft, exampleCount: 64, format }),
    data: { format, labels: null, training, validation: null },
  });
  const pairs = job('pairs');
  assert.deepEqual([pairs.training.batch_size, job('scored_pairs').training.batch_size], [32, 8]);
  const memory = peakOf(pairs, { mini_batch_size: 8 });
  assert.ok(memory < peakOf(pairs));
  const [change] = fittingChanges(pairs, machine, memory);
  assert.deepEqual(change, { training: { mini_batch_size: 8 }, peakMemoryBytes: memory });
  // Even if no single change is enough.
  const least = { mini_batch_size: 1, gradient_checkpointing: true, base_dtype: 'nf4' } as const;
  const all = fittingChanges(pairs, machine, peakOf(pairs, least));
  assert.ok(all.length > 0);
  for (const { training } of all) assert.equal('batch_size' in training, false);
  const [scored] = fittingChanges(job('scored_pairs'), machine, peakOf(job('scored_pairs')) - 1);
  assert.deepEqual(scored!.training, { batch_size: 4, gradient_accumulation_steps: 2 });
  const secondsOf = (mini_batch_size: number | null) =>
    estimateTraining(
      { ...pairs, training: { ...pairs.training, mini_batch_size } },
      { ...machine, flops: 1e11 },
    );
  const [whole, cached] = [secondsOf(null), secondsOf(8)];
  assert.equal(cached.steps, whole.steps);
  assert.equal(cached.tokens, whole.tokens);
  assert.ok(cached.seconds! > 1.2 * whole.seconds! && cached.seconds! < 2 * whole.seconds!);
});

test('no change is suggested that a job has already, and none if all together are not enough', () => {
  const job = jobOf({ ...least });
  const changes = fittingChanges(job, machine, peakOf(job) - 1);
  assert.deepEqual(
    changes.map(({ training }) => Object.keys(training)),
    [['max_seq_length']],
  );
  assert.deepEqual(fittingChanges(job, machine, 1000), []);
});
