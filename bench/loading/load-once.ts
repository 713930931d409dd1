/** Loads a base model's weights as a training run does, and answers what it took; its plan is a LoadPlan. */
import { openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { ProgramBuilder } from '@graft/tf-graph';
import { weightBytes } from '../../packages/peft-core/src/estimate/peak-memory.ts';
import { peakMemory } from '../../packages/peft-core/src/train/machine/peak-memory.ts';
import type { BaseStorage } from '../../packages/peft-core/src/weights/base-storage.ts';
import { loadWeights } from '../../packages/peft-core/src/weights/load-weights.ts';
import { declareWeights } from '../../packages/peft-core/src/weights/stored-weights.ts';
import { answer, readPlan } from '../../scripts/measuring/processes.ts';

export interface LoadPlan {
  model: string;
  storage: BaseStorage;
}

export interface Loaded {
  /** Most memory of the process before it read a weight, and until it had all. */
  emptyBytes: number;
  peakBytes: number;
  /** Size of the weights as they are stored. */
  storedBytes: number;
  seconds: number;
}

const { model, storage } = await readPlan<LoadPlan>();
const base = await openBaseModel(model);
const outline = outlineOf(base.config, 'CAUSAL_LM');
const builder = new ProgramBuilder();
declareWeights(builder, outline, storage, false);
const program = builder.build();
const emptyBytes = peakMemory();
const started = performance.now();
await loadWeights(program, base, outline, storage);
const loaded: Loaded = {
  emptyBytes,
  peakBytes: peakMemory(),
  storedBytes: weightBytes({ model: outline, storage }),
  seconds: (performance.now() - started) / 1000,
};
program.close();
await base.close();
answer(loaded);
