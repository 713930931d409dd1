/**
 * An objective: what training minimises and which metrics it has, without the parts that need TensorFlow. Each has a folder here
 * (`<name>/objective.ts`, a row in `objectives.ts`) and one for its loss (`train/objectives/<name>/loss.ts`, a row in `losses.ts`).
 */
import type { TProperties } from 'typebox';
import type { TaskType } from '../outlines/outline.ts';

/** Input for metrics, from one optimizer step or from all validation examples. */
export interface Outcome {
  /** Mean over all targets, by their weights. */
  loss: number;
  /** Sum of these weights. */
  weight: number;
  /** Share of correct targets; null if the objective has no right or wrong targets. */
  accuracy: number | null;
  /**
   * The data's value and the model's prediction for each target: a class or a cosine, or with `hasLabelSets` 1 or 0 for each class of
   * each text. Empty for steps, and if the loss has no `predictions`.
   */
  wanted: readonly number[];
  predicted: readonly number[];
  /** With `hasLabelSets` the number of classes, else 0. */
  classes: number;
  /** The additional sums of the loss (`Loss.sums`), divided by the number of targets. */
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
  /** When it is measured: after each optimizer step, on the validation examples, or both. */
  measured: readonly ('step' | 'evaluation')[];
  /** Field of a series' row with the same value in every version, so that rows of earlier versions have a curve, too. */
  field?: 'token_accuracy' | 'learning_rate' | 'grad_norm' | 'tokens_per_second' | 'memory_bytes';
}

/** A measurement of a model besides its loss. */
export interface Metric extends MetricDescription {
  /** Null: not measured in this outcome. */
  measure(outcome: Outcome): number | null;
  /** Its name in `metric_for_best_model`; absent: it cannot choose the best model. */
  forBestModel?: string;
  /**
   * Its column in the series of checkpoints, from which a resumed run reads earlier values: needed with `forBestModel`, unless its
   * `field` is `token_accuracy`, which has its own column.
   */
  column?: string;
}

/** Forward passes of a step: with the current adapter, and with the model before training (base or start adapter). */
export type Pass = 'policy' | 'reference';

/** Options of an objective that learns from preferences, in `training.preference`. */
export interface PreferenceOptions {
  properties: TProperties;
  defaults: Readonly<Record<string, unknown>>;
  /** Faults of resolved options, by the option's name. */
  faults?(options: Readonly<Record<string, unknown>>): [option: string, message: string][];
}

/** A training method: `method.type` of a request. */
export interface TrainingMethod {
  type: string;
  /** Its usual name. */
  title: string;
  /** A sentence on when to choose it. */
  when: string;
}

/** The method of objectives that learn from plain examples; OpenAI's default. */
export const supervised: TrainingMethod = {
  type: 'supervised',
  title: 'Supervised',
  when: 'Learns the answers, labels or texts of your file. Start here, unless your file compares answers.',
};

/**
 * Columns of texts that may have a prompt, each with the names under which sentence-transformers models publish it, the usual one first;
 * without names it is the model's default prompt.
 */
export type PromptColumns = Readonly<Record<string, readonly string[]>>;

export interface Objective {
  name: string;
  /** `method.type` of a request. */
  method: string;
  /** Title of its method, and when to choose it. Absent: those of `supervised`, a method of several objectives. */
  methodText?: { title: string; when: string };
  /** Supported data formats. The first objective in the list with a format is that format's default. */
  formats: readonly string[];
  /** Name of its examples in messages. Absent: `<format> examples`. */
  examples?: string;
  /** The first objective in the list with a task is assumed while the format is unknown. */
  tasks: readonly TaskType[];
  /** Schemas of the options that it adds to `training`: absent from a job where they are off. */
  options: TProperties;
  /** Why a task without this objective does not accept its options. */
  whyNotOptions?(task: TaskType): string;
  /** Other options of `training` that do not apply to it, with the reason. */
  refuses?: Readonly<Record<string, string>>;
  /** Columns of texts to embed, which may have prompts; absent: none has. */
  promptColumns?: PromptColumns;
  metrics: readonly Metric[];
  passes: readonly Pass[];
  /** An example has a set of classes: batches have a target for every class. */
  hasLabelSets?: true;
  /**
   * The default learning rate, as a share of what suits the PEFT method for a new adapter, and for one that is continued; absent: all of
   * it. `known`: instead of `fresh`, where the reference pass finds that the model gives the chosen answers already (`knowsAnswers`).
   */
  rateShares?: { fresh: number; continued: number; known?: number };
  /** The default batch size and its reason, if it differs from that of other objectives. */
  batch?: { usual: number; why: string };
  /** Options of `training.preference`: it learns from preferences. */
  preference?: PreferenceOptions;
  /** The tokens of prompts are trained on with those of chosen completions. */
  learnsPrompts?: true;
  /** Examples that a line of a format makes, where they are not one. */
  examplesPerLine?: Readonly<Record<string, number>>;
  /** Completions are judged one by one, and compared with those of other prompts; a pair is two of them. */
  isUnpaired?: true;
  /** The loss depends on the batch: where memory is short the batch keeps its size, and is computed in mini-batches (`mini_batch_size`). */
  keepsBatch?: true;
}
