/** Compares the memory walk over a training step's graph with TensorFlow's allocator in a real run, on stock operations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveMemory, recordFunctions } from '@graft/tf-graph';
import { tracedAllocations } from '@graft/tf-graph/testing';
import { tinyConfig } from '../../testing/tiny-model.ts';
import { fillWithZeros, specOf, type TrainingGraph, zeroFeeds } from '../../testing/training-graph.ts';
import { processorHasBfloat16 } from '../precision.ts';
import { buildTrainProgram, type TrainProgram } from '../train-program.ts';

const config = {
  ...tinyConfig,
  hidden_size: 256,
  intermediate_size: 704,
  num_hidden_layers: 4,
  head_dim: 64,
  vocab_size: 2048,
  max_position_embeddings: 4096,
};
const checkpointed = { training: { gradient_checkpointing: true } };
const bf16 = { storage: 'bfloat16', precision: 'bf16' } as const;

const steps: Omit<TrainingGraph, 'config'>[] = [
  { rows: 1, tokens: 128 },
  { rows: 4, tokens: 256 },
  { rows: 4, tokens: 256, ...checkpointed },
  { rows: 1, tokens: 1024, ...checkpointed },
  { rows: 2, tokens: 2048, ...checkpointed },
  { rows: 4, tokens: 256, ...bf16 },
  { rows: 4, tokens: 256, ...bf16, ...checkpointed },
  { rows: 1, tokens: 1024, ...bf16, ...checkpointed },
  { rows: 4, tokens: 256, labels: 32, storage: 'nf4', ...checkpointed },
  { rows: 4, tokens: 256, storage: 'int8', precision: 'bf16' },
];

/** On a processor without bf16 TensorFlow widens the factors of a large product of bf16, which no GPU does. */
const isWidened = ({ precision, tokens }: { precision?: string; tokens: number }) =>
  precision === 'bf16' && tokens >= 1024 && !processorHasBfloat16() && 'this processor has no bf16';

for (const step of steps)
  test(`live memory of a training step: ${JSON.stringify(step)}`, { skip: isWidened(step) }, async () => {
    const spec = specOf({ config, ...step });
    const all: TrainProgram[] = [];
    const [recorded] = await recordFunctions(async () => all.push(buildTrainProgram(spec)));
    const built = all[0]!;
    const { program, update } = built;
    assert.ok('step' in update);
    try {
      await fillWithZeros(built, spec);
      const feeds = zeroFeeds(update.step.inputs);
      const [run] = await tracedAllocations(() => program.run(update.step, feeds));
      const walk = liveMemory(recorded!, { granularity: 64 });
      const ratio = walk.peak / run!.peak;
      assert.ok(Math.abs(ratio - 1) <= 0.05, `${walk.peak} is ${ratio} of ${run!.peak} at ${walk.at}`);
    } finally {
      program.close();
    }
  });
