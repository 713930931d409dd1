import type { Program } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import type { PeftModel } from '../peft-model/peft-model.ts';
import type { ChoosingFunctions, ModelFunctions } from './step.ts';
import type { UpdateArena } from './update-arena.ts';

/** One model of the program. On a card it chooses tokens itself. */
export type AnsweringModel = (ModelFunctions | ChoosingFunctions) & {
  model: PeftModel;
  /** Sets the adapter's values. */
  write(values: Float32Array): Promise<void>;
};

/** A base model and the cache of its sequences. Adapters are attached while it stays loaded, and share both. */
export interface GenerationProgram {
  program: Program;
  /** Blocks of the cache. */
  blocks: number;
  /** Sequences of a step. */
  rows: number;
  /** Positions of prompts that a step reads. */
  promptPositions: number;
  /** The plain base model, or an adapter of this config on it; its values still have to be written. */
  attach(peft: PeftConfig | null): AnsweringModel;
  /** The plain base model with an update of its own for each row; null where that cannot be computed. */
  shared(): Promise<{ model: AnsweringModel; arena: UpdateArena } | null>;
  /** Empties the cache; once before the first run. */
  clear(): void;
}
