/**
 * usage: npm run bench:estimates -- --long. In a separate process: one step of a 1B decoder of zeros on stock operations, with a row of
 * 8,192 positions, its base in bfloat16 and gradient checkpointing. Memory and time do not depend on the weights.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
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
import { answer, readPlan } from '../../scripts/measuring/processes.ts';

export interface LongStep {
  tokens: number;
  peakBytes: number;
  estimatedBytes: number;
  seconds: number;
}

const models = await readFile(path.join(import.meta.dirname, 'testdata', 'models.json'), 'utf8');
const { config } = JSON.parse(models)['1B decoder'] as { config: Record<string, unknown> };
const { tokens } = await readPlan<Pick<LongStep, 'tokens'>>();
const graph: TrainingGraph = {
  config,
  rows: 1,
  tokens,
  storage: 'bfloat16',
  precision: 'bf16',
  training: { gradient_checkpointing: true },
};

const spec = specOf(graph);
const built = buildTrainProgram(spec);
if (!('step' in built.update)) throw new Error('the program has no separate step');
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
answer(measured);
