/**
 * usage: npm run bench:estimates -- --long. In a process of its own: one step of a 1B llama of zeros on stock operations, a row of 8,192
 * positions, its base in bfloat16, with gradient checkpointing. Memory and time are the same whatever the weights are. The last line of
 * standard output is a LongStep.
 */
import { peakMemory as estimatedPeak } from '../../packages/peft-core/src/estimate/peak-memory.ts';
import {
  fillWithZeros,
  partsOfGraph,
  specOf,
  type TrainingGraph,
  zeroFeeds,
} from '../../packages/peft-core/src/testing/training-graph.ts';
import { peakMemory } from '../../packages/peft-core/src/train/machine/peak-memory.ts';
import { buildTrainProgram } from '../../packages/peft-core/src/train/train-program.ts';
import type { LongStep } from './plan.ts';

/** Llama 3.2 1B. */
const config = {
  ...{ model_type: 'llama', hidden_size: 2048, intermediate_size: 8192, num_hidden_layers: 16 },
  ...{ num_attention_heads: 32, num_key_value_heads: 8, head_dim: 64, vocab_size: 128_256 },
  ...{ max_position_embeddings: 131_072, rms_norm_eps: 1e-5, tie_word_embeddings: true },
};
const tokens = Number(process.argv[2] ?? 8192);
const graph: TrainingGraph = {
  ...{ config, rows: 1, tokens },
  storage: 'bfloat16',
  precision: 'bf16',
  training: { gradient_checkpointing: true },
};

const spec = specOf(graph);
const built = buildTrainProgram(spec);
if (!('step' in built.update)) throw new Error('the program has no step of its own');
await fillWithZeros(built, spec);
const began = performance.now();
built.program.run(built.update.step, zeroFeeds(built.update.step.inputs));
const measured: LongStep = {
  tokens,
  peakBytes: peakMemory(),
  estimatedBytes: Math.round(estimatedPeak(partsOfGraph(graph, 'cpu'))),
  seconds: (performance.now() - began) / 1000,
};
built.program.close();
console.log(JSON.stringify(measured));
