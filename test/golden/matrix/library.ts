import type { ResolvedTraining } from '@graft/peft-core/config';
import type { TaskType } from '@graft/peft-core/outlines';
import type { TrainingPlan } from '../../../scripts/golden/training-plan.ts';
import type { PythonScore } from '../fixtures/score-in-python.ts';
import type { StepRecord } from '../fixtures/training-comparison.ts';
import type { Cell } from './cells.ts';
import type { MethodRow } from './methods.ts';
import type { Probe } from './probes.ts';

/** A Python library that cells are compared with. A run that it fails at has no records or outputs; the others have theirs. */
export interface Library {
  /** In the names of tests. */
  name: string;
  methods: readonly MethodRow[];
  /** Why some cells cannot be, by their names. */
  reasons: Record<string, string>;
  /** Makes base models, and an adapter of random values for each cell. */
  make(plan: { models: NewModel[]; adapters: NewAdapter[] }): Promise<unknown>;
  /** Trains each cell from its adapter. */
  train(runs: LibraryTraining[]): Promise<StepRecord[][]>;
  score(runs: LibraryScore[]): Promise<PythonScore[]>;
  /** Options of Graft's `training` for one cell, beside those of all. */
  training(cell: Cell): Partial<ResolvedTraining>;
  /** The largest relative error of a cell's gradient against finite differences. */
  gradientLimit(cell: Cell): number;
  /** Holds the files of both sides against each other. */
  checkFiles(
    check: (what: string, body: () => Promise<void>) => void,
    folders: { cell: Cell; model: string; graft: string; library: string; again: string },
  ): void;
}

export interface NewModel {
  output: string;
  task: TaskType;
  /** Fields of config.json. */
  config: Record<string, unknown>;
  seed: number;
}

export interface NewAdapter {
  cell: Cell;
  model: string;
  output: string;
}

export interface LibraryTraining {
  cell: Cell;
  model: string;
  /** To start from. */
  adapter: string;
  output: string;
  options: ResolvedTraining;
  steps: TrainingPlan['steps'];
}

export interface LibraryScore {
  model: string;
  task: TaskType;
  adapter: string | null;
  inputs: Probe[];
}
