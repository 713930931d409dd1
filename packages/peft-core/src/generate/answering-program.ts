import type { Program } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import type { PeftModel } from '../peft-model/peft-model.ts';
import type { UpdateArena } from './arenas/update-arena.ts';
import type { ChoosingFunctions, ModelFunctions } from './step.ts';

/** One model of the program. On a GPU it chooses tokens itself. */
export type AnsweringModel = (ModelFunctions | ChoosingFunctions) & {
  model: PeftModel;
  write(values: Float32Array): Promise<void>;
};

/** A base model and the cache of its sequences. Adapters are attached while it stays loaded, and share both. */
export interface GenerationProgram {
  program: Program;
  blocks: number;
  /** Maximum number of sequences in a step. */
  rows: number;
  /**
   * For models with recurrent layers: the maximum number of sequences that have a state, and the number of positions of each piece of a
   * prompt but its last. Such sequences share no cached prefixes. null: the model has no such layers.
   */
  states: { sequences: number; piece: number } | null;
  /** Maximum number of prompt positions that a step computes. */
  promptPositions: number;
  /** The plain base model, or an adapter with this config on it; the adapter's values must be written separately. */
  attach(peft: PeftConfig | null): AnsweringModel;
  /** The plain base model with a separate update for each row; null if it cannot be computed. */
  shared(): Promise<{ model: AnsweringModel; arena: UpdateArena } | null>;
  /** Fills the cache with zeros, on a CPU without taking its memory yet; call once before the first run. */
  clear(): Promise<void> | void;
}
