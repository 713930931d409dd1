/**
 * An objective: what training minimises and what is measured of it, as far as that is known without TensorFlow. Each has a folder here
 * (`<name>/objective.ts`, a row in `objectives.ts`) and one for its loss (`train/objectives/<name>/loss.ts`, a row in `losses.ts`).
 */
import type { TProperties } from 'typebox';
import type { TaskType } from '../outlines/outline.ts';

/** What metrics are computed from: of one optimizer step, or of all validation examples. */
export interface Outcome {
  /** Mean over all targets. */
  loss: number;
  /** Share of the targets that are right; null where none is right or wrong. */
  accuracy: number | null;
  /**
   * Of each target what the data has and what the model predicts: a class or a cosine, or with `hasLabelSets` 1 or 0 for each class of
   * each text. Empty for steps, and where the loss has no `predictions`.
   */
  wanted: readonly number[];
  predicted: readonly number[];
  /** With `hasLabelSets` the number of classes, else 0. */
  classes: number;
  /** What the loss sums besides (`Loss.sums`), divided by the number of targets. */
  means: Readonly<Record<string, number>>;
}

/** How the API, the dashboard and the command line show a metric. */
export interface MetricDescription {
  /** Key in `metrics` of evaluations, of a job's series and of adapter versions. */
  name: string;
  /** Heading of its curve. */
  label: string;
  /** `share`: from 0 to 1, shown in per cent. */
  unit: 'share' | 'number' | 'per_second' | 'bytes';
  /** Which values are better; null: neither. */
  better: 'higher' | 'lower' | null;
  /** After each optimizer step, on the validation examples, or both. */
  measured: readonly ('step' | 'evaluation')[];
  /** The field of a series' row that always has the same value, so that rows of earlier versions have a curve, too. */
  field?: 'token_accuracy' | 'learning_rate' | 'grad_norm' | 'tokens_per_second' | 'memory_bytes';
}

/** A measure of a model besides its loss. */
export interface Metric extends MetricDescription {
  /** Null: not measured of this outcome. */
  measure(outcome: Outcome): number | null;
  /** Its name in `metric_for_best_model`; absent: it does not choose the best model. */
  forBestModel?: string;
  /**
   * Its column in the series of checkpoints, from which a resumed run knows earlier values: needed with `forBestModel`, unless its
   * `field` is `token_accuracy`, which has a column of its own.
   */
  column?: string;
}

/** Forward passes of a step: with the adapter as it is now, and with the model as it was before training (base or start adapter). */
export type Pass = 'policy' | 'reference';

export interface Objective {
  name: string;
  /** `method.type` of a request. */
  method: string;
  /** The data formats that it trains on. The first objective in the list with a format is that format's default. */
  formats: readonly string[];
  /** What messages call its examples. Absent: `<format> examples`. */
  examples?: string;
  /** The first objective in the list with a task is the one assumed while the format is unknown. */
  tasks: readonly TaskType[];
  /** Schemas of the options that it adds to `training`: absent from a job where they are off. */
  options: TProperties;
  /** Why a task without this objective does not take its options. */
  whyNotOptions?(task: TaskType): string;
  /** Other options of `training` that have no meaning for it, and why. */
  refuses?: Readonly<Record<string, string>>;
  metrics: readonly Metric[];
  passes: readonly Pass[];
  /** An example has a set of classes: batches have a target for every class. */
  hasLabelSets?: true;
  /** The default batch size, and why, where it is not that of other objectives. */
  batch?: { usual: number; why: string };
  /** The batch is part of the loss: where memory is short its size stays, and it is computed in mini-batches (`mini_batch_size`). */
  keepsBatch?: true;
}
