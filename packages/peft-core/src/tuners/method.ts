import type { TObject } from 'typebox';
import type { ModelOutline, TaskType } from '../outlines/outline.ts';
import type { Fault } from '../schema/check-fields.ts';
import type { Combination } from '../schema/combination.ts';
import type { HostTensor } from '../tensors/tensor-source.ts';
import type { FileTensor } from './file-tensors.ts';
import type { MethodFiles } from './method-files.ts';

/** The properties of a base model that determine a learning rate. */
export type RatedModel = Pick<ModelOutline, 'hiddenSize' | 'rateExponent'>;

/**
 * The description of one PEFT method without TensorFlow, for the API, the command line, the readers of files and the docs.
 * A method is a folder and two rows: this object in `tuners/<method>/method.ts` with its row in `tuners/methods.ts`, and its
 * training code in `tuners/<method>/tuner.ts` with its row in `tuners/registry.ts`. Omit optional members that do not apply.
 */
export interface Method<Config extends MethodConfig = MethodConfig> {
  // For users who choose a method. docs/methods.md and model cards are built from these members.

  /** The usual name, as in the paper. */
  title: string;
  /** When to choose the method, in one or two sentences. */
  when: string;
  /** URL of the paper, or of a page that explains the method. */
  paper: string;
  /** Python library whose file format Graft writes; null for Graft's own methods, which are merged for use elsewhere. */
  library: 'HF PEFT' | 'adapters' | null;
  /**
   * Other runtimes that serve such an adapter without conversion, by name, and whether they support a given config. List a runtime only
   * if its source shows that it reads everything that the adapter holds.
   */
  servedBy?: Record<string, (config: Config) => boolean>;
  /** Options of a typical configuration. docs/methods.md gives its number of trainable parameters. */
  usual: Record<string, unknown>;
  /** Set if `usual` is meaningful only for some models: a sweep over methods then requires this method's options in the request. */
  usualNeedsModel?: boolean;
  /**
   * Configurations with which the method learns examples/bike-shop. `languageModel` is for SmolLM2-135M: `npm run demo -- --method`
   * trains it, and expects `margin` percentage points more on held-out examples than the untrained model. `classifier` is for MiniLM with
   * ten classes: methods with a `classifier` are in the table that `npm run methods` writes into docs/methods.md.
   */
  trials: { languageModel: Trial & { margin: number }; classifier?: Trial };

  // The config without a model. `given` holds the fields of a request or a file; omitted fields are absent.

  /** Every option with its default, under the library's names. `faults` reports a missing field that has no default. */
  schema: TObject;
  /** Options that only the library implements, with the library's defaults. Graft accepts only these values. */
  unimplemented: Record<string, unknown>;
  /** For an option in `schema`: why Graft does not support a value that the library supports; null for all other values. */
  unimplementedValue?(option: string, value: unknown): string | null;
  /** Replaces a shorthand, such as a preset, by the fields that it sets. Called before defaults are filled in. */
  expand?(given: Record<string, unknown>): Record<string, unknown>;
  /**
   * Graft's values for automatic options: for all options if a request gives only the method, else for those that are "auto".
   * `given` are the other options; the rank is at most `maxRank`. Absent: Graft uses `usual`, and no option can be "auto".
   */
  choose?(given: Record<string, unknown>, maxRank: number): Record<string, unknown>;
  /** Options that are left out are chosen, too, if the option named here is "auto". */
  chosenWith?: Readonly<Record<string, string>>;
  /** Options that select a variant of the method but no sizes. If a request gives only these, the other options stay automatic. */
  forms?: readonly string[];
  /** For options that `choose` sets and whose default learns less: what the default means, as text of a warning. */
  costly?: Record<string, string>;
  /** Violations of rules between fields. Called only if each field fits `schema`. */
  faults?(given: Record<string, unknown>): Fault[];
  /**
   * Options that have no effect together with the others, or one that only training needs; `given` as in `faults`. Graft refuses a request
   * with such an option, but reads files with one, because the library that wrote them ignored or had it.
   */
  idle?(given: Record<string, unknown>): Fault[];
  /** The only `training.base_dtype` with which the config trains, and the option, with its value, that needs it; null or absent: any. */
  neededBase?(config: Config): { dtype: 'nf4'; option: string } | null;
  /** Checks whether start values come from a forward pass over the training data: `Attachment.inputs` of the tuner. Default: they do not. */
  readsInputs?(config: Config): boolean;
  /** The value of `learning_rate: "auto"`, for this base model if it is known. */
  learningRate(config: Config, model?: RatedModel): number;
  /** Maximum multiple of that rate in a short run, given the multiple `dataFactor` (config/automatic-training.ts). Absent: `dataFactor`. */
  maxRateFactor?(config: Config, dataFactor: number): number;
  /** Set if updates have two factors, and the second may have another learning rate: `rate` of a tuner's parameters. */
  hasRateGroups?: true;
  /** Fraction of a run's steps for the warmup of the learning rate. Absent: the default (config/automatic-training.ts). */
  warmupShare?: number;

  // The config with a base model, of which only config.json is known. These members throw a GraftError that names the option.

  /** Throws if the config does not fit the model. Called for requests and for files. */
  check(config: Config, model: ModelOutline): void;
  /**
   * Throws if an option of a request would have no effect on this model, such as a pattern that matches no module. A method with
   * target_modules calls `checkTargetNames` of `idle-targets.ts`.
   */
  checkIdle?(config: Config, model: ModelOutline): void;
  /** Throws if the initial text cannot be used. `encode` is the base model's tokenizer. */
  checkInitialText?(config: Config, model: ModelOutline, encode: (text: string) => number[]): void;
  /** Positions that the method uses before every sequence. */
  leadingPositions?(config: Config): LeadingPositions;
  /** Number of trainable parameters, if `fileTensors` does not give it: a prompt encoder is not saved. */
  trainedParameters?(config: Config, model: ModelOutline): number;
  /**
   * Number of values that training keeps beside the trained ones and never changes, in addition to `trainedParameters`: `constant` of a tuner's
   * parameters. Absent: 0.
   */
  constantParameters?(config: Config, model: ModelOutline): number;
  /**
   * Number of floats per position that a step keeps for its backward pass, in addition to those of the model's own layers; for estimates.
   * Absent: few.
   */
  keptNumbers?(config: Config, model: ModelOutline): number;
  /**
   * Number of float32 copies of a weight that exist at a time while the method computes with it, with kernels or with stock operations alone;
   * for estimates. Absent: none.
   */
  weightCopies?(config: Config, kernels: boolean): number;
  /** Memory and work of start values that are computed from the base's weights; for estimates. Default or null: little. */
  startCosts?(config: Config, model: ModelOutline): StartCosts | null;
  /** Ids of tokens whose rows the adapter holds, or that it depends on. The tokenizer must have the same tokens at these ids. */
  tokens?(config: Config): number[];
  /**
   * The tokens from whose last occurrence in a sequence on the adapter is active, the first of them included: before it, and in sequences
   * without an occurrence, the model is its base. Null or absent: the adapter is always active.
   */
  invocation?(config: Config): readonly number[] | null;

  // The adapter's files.

  /** The config of a trained adapter's files, if training has another one: start values may become a part of the files. */
  published?(config: Config): Config;

  /** The config of files created elsewhere without what only their training needed. Absent: as it is. */
  read?(config: Config): Config;

  /**
   * The tensors that adapter_model.safetensors must hold for this model, and no others. Called after `check`. Absent: Graft does not accept
   * files created elsewhere.
   */
  fileTensors?(config: Config, model: ModelOutline): FileTensor[];

  /** Why files with this config cannot be read, and the option that shows it; null or absent if they can. */
  unreadable?(config: Config): { option: string; message: string } | null;
  /** Why an adapter with this config cannot be merged into the base model's weights, as a clause; null or absent if it can. */
  unmergeable?(config: Config, model: ModelOutline): string | null;
  /** For methods whose updates of weights are products of two narrow matrices, which other runtimes read. Called after `check`. */
  lowRank?(config: Config, model: ModelOutline): LowRankForm;
  /** The config of the same adapter if all its updates have this rank and scale. Absent: no other runtime loads the files, whatever their rank. */
  uniform?(config: Config, rank: number, scale: number): Config;

  /**
   * Combines adapters of one base model into one. Throws `not_combinable`, `rank_too_large`. Absent: such adapters cannot be combined.
   */
  combine?(
    adapters: readonly CombinedAdapter<Config>[],
    model: ModelOutline,
    options: Combination,
  ): CombinationPlan<Config>;

  /**
   * Words in the names of the method's own tensors, such as "prompt". `graft inspect` groups tensors by their name, starting with the part
   * that contains one of these words. Omit it if tensors have the names of the base model's parameters.
   */
  tensorNames?: string[];
  /** The config for adapter_config.json, if it differs from `config`. `baseModelName` is null if the base model has no name. */
  written?(config: Config, baseModelName: string | null): Record<string, unknown>;
  /** Fields that Python writes as floats: 0.0, not 0. */
  floats?: string[];
  /** Reader and writer for a library whose files differ from HF PEFT's adapter_config.json and adapter_model.safetensors. */
  files?: MethodFiles<Config>;
}

export interface StartCosts {
  /** Memory beside the model and the values that are computed already. */
  bytes: number;
  /** In floating-point operations of large products of matrices, which workers measure the speed of. */
  work: number;
}

/** Fields of every method's config. */
export interface MethodConfig {
  peft_type: string;
  task_type: TaskType;
}

/** An adapter as updates `scale · B A` of weights, as it is in its files. */
export interface LowRankForm {
  /** In the model's order. */
  updates: LowRankPart[];
  /** Parts of the adapter beside the updates, as noun phrases; empty if none. */
  others: string[];
  /** Computes A and B, by the keys in `updates`, from the tensors of the files. Absent: the files have them. */
  factors?(files: ReadonlyMap<string, HostTensor>): TensorsByKey;
}

/** Tensors that may be computed when they are read. */
export type TensorsByKey = Pick<ReadonlyMap<string, HostTensor>, 'get'>;

export interface LowRankPart {
  /** Path of the module; of the parameter for the matrices of experts. */
  module: string;
  kind: 'linear' | 'embedding' | 'router' | 'experts';
  /** Key in adapter_model.safetensors, or for `factors`, of A, `(rank, width)`; of E experts `(E · rank, width)`. For an embedding, `width` is the vocabulary's size. */
  a: string;
  /** Key of B, `(out, rank)`; of E experts `(out, rank · E)`. */
  b: string;
  rank: number;
  scale: number;
  width: number;
  out: number;
}

export interface CombinedAdapter<Config> {
  /** Name of the adapter in messages. */
  name: string;
  config: Config;
  weight: number;
}

/** How the files of a combination are computed, a few tensors at a time. */
export interface CombinationPlan<Config> {
  config: Config;
  groups: CombinedTensors[];
  /** Copies of the base model's tensors, read from the first adapter if it has them. */
  copied: FileTensor[];
}

/** Tensors that are computed together. */
export interface CombinedTensors {
  tensors: FileTensor[];
  /** Returns the values of `tensors`. `read` returns a tensor of one of the adapters, by its index. */
  compute(read: (adapter: number, tensor: FileTensor) => Promise<Float32Array>): Promise<Float32Array[]>;
}

/** A configuration with which the method learns the example task, at its automatic learning rate. */
export interface Trial {
  /** Options of the method, without peft_type and task_type. */
  options: Record<string, unknown>;
  /** Passes over the data. */
  epochs: number;
}

/** Positions that a method uses before every sequence. */
export interface LeadingPositions {
  /** Tokens of the sequence itself, with trained embeddings. */
  virtualTokens: number;
  /** Positions that have only keys and values in attention. */
  prefixLength: number;
}

/** Narrower models have not been measured: they get the rate of this width. */
const NARROWEST = 256;

/**
 * A multiple of the rate at which AdamW trains all weights of a base model, rounded to two digits. That rate falls with the width:
 * 5e-5 · (2000 / width) ^ e. Where e is unknown it is 2e-5, which suits models of a few billion parameters.
 * Source: Schulman et al. 2025, Thinking Machines, who fitted e for two families of decoders and found that low-rank updates
 * need ten times the rate.
 */
export function rateByWidth(times: number, model?: RatedModel): number {
  const exponent = model?.rateExponent;
  const fullTuningRate =
    exponent === undefined ? 2e-5 : 5e-5 * (2000 / Math.max(NARROWEST, model!.hiddenSize)) ** exponent;
  return Number((times * fullTuningRate).toPrecision(2));
}

/** The rank of a request; where it leaves the rank to `Method.choose`, `usual`, but at most `maxRank`. */
export const chosenRank = ({ r }: Record<string, unknown>, usual: number, maxRank: number): number =>
  typeof r === 'number' && r >= 1 ? r : Math.min(usual, maxRank);

/** `Method.costly` of methods that usually adapt all linear layers. */
export const costlyTargets = {
  target_modules:
    'no more is adapted than what is usual for the architecture, of most models two matrices of attention',
};
