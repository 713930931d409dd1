import type { TObject } from 'typebox';
import type { ModelOutline, TaskType } from '../outlines/outline.ts';
import type { Fault } from '../schema/check-fields.ts';
import type { FileTensor } from './file-tensors.ts';
import type { MethodFiles } from './method-files.ts';

/** What of a base model a learning rate depends on. */
export type RatedModel = Pick<ModelOutline, 'hiddenSize' | 'rateExponent'>;

/**
 * All that is known of one PEFT method without TensorFlow. The API, the command line, the readers of files and the docs use it.
 * A method is a folder and two rows: this object in `tuners/<method>/method.ts` with its row in `tuners/methods.ts`, and what
 * trains in `tuners/<method>/tuner.ts` with its row in `tuners/registry.ts`. Leave out an optional member that does not apply.
 */
export interface Method<Config extends MethodConfig = MethodConfig> {
  // For users who choose a method. docs/methods.md and model cards are made from these.

  /** The usual name, as the paper writes it. */
  title: string;
  /** When to choose it, in a sentence or two. */
  when: string;
  /** Address of the paper, or of the page that explains the method. */
  paper: string;
  /** Python library whose files Graft writes for it; null for a method of Graft's own, which is merged to be used elsewhere. */
  library: 'HF PEFT' | 'adapters' | null;
  /**
   * Other runtimes that serve such an adapter without conversion, by name, and whether they take a given config. Name a runtime only
   * when its source shows that it reads all that the adapter holds.
   */
  servedBy?: Record<string, (config: Config) => boolean>;
  /** Options of a usual configuration. docs/methods.md gives the number of parameters that it trains. */
  usual: Record<string, unknown>;
  /** Those mean something on some models alone: a sweep over methods wants this one's own in the request. */
  usualNeedsModel?: boolean;
  /**
   * Configurations with which the method learns examples/bike-shop. `languageModel` is for SmolLM2-135M: `npm run demo -- --method`
   * trains it, and expects `margin` more held-out points than the untrained model has. `classifier` is for MiniLM with
   * ten classes: methods that have it stand in the table that `npm run methods` writes into docs/methods.md.
   */
  trials: { languageModel: Trial & { margin: number }; classifier?: Trial };

  // The config, before there is a model. `given` holds the fields of a request or a file; fields that it leaves out are absent.

  /** Every option with its default, under the library's names. `faults` asks for a field that has no default. */
  schema: TObject;
  /** Options that only the library has, with their defaults there. Graft accepts them at these values only. */
  unimplemented: Record<string, unknown>;
  /** For an option in `schema`: why Graft does not have a value that the library has; null for all other values. */
  unimplementedValue?(option: string, value: unknown): string | null;
  /** Replaces a shorthand, such as a preset, by the fields it stands for. Called before defaults are filled in. */
  expand?(given: Record<string, unknown>): Record<string, unknown>;
  /**
   * What Graft takes for options that are left to it: all, where a request names the method and no more, else those that are "auto".
   * `given` are the others; the rank is at most `maxRank`. Left out: `usual`, and no option can be "auto".
   */
  choose?(given: Record<string, unknown>, maxRank: number): Record<string, unknown>;
  /** Options that name a form of the method and no sizes: beside them, too, the others are left to Graft. */
  forms?: readonly string[];
  /** Of the options that `choose` gives, those whose default learns less: what it means, in words, for a warning. */
  costly?: Record<string, string>;
  /** Breaches of rules between fields. Called only when each field fits `schema`. */
  faults?(given: Record<string, unknown>): Fault[];
  /**
   * Options that have no effect beside the others, given as to `faults`. A request with one is refused. Files with one are read,
   * since the library that wrote them ignored it.
   */
  idle?(given: Record<string, unknown>): Fault[];
  /** What `learning_rate: "auto"` means, on this base model where it is known. */
  learningRate(config: Config, model?: RatedModel): number;
  /** How many times that rate a short run takes at most, of the times that its data allow (config/automatic-training.ts). Left out: all. */
  mostOfRate?(config: Config, ofData: number): number;
  /** Set where updates have two factors, of which the second may learn at another rate: `rate` of a tuner's parameters. */
  hasRateGroups?: true;
  /** Share of a run's steps in which its rate rises. Left out: what is usual (config/automatic-training.ts). */
  warmupShare?: number;

  // The config on a base model, of which only config.json is known. What throws, throws a GraftError that names the option.

  /** Throws when the config does not fit the model. Called for requests and for files. */
  check(config: Config, model: ModelOutline): void;
  /**
   * Throws when an option of a request would have no effect on this model, such as a pattern that matches no module. A method with
   * target_modules calls `checkTargetNames` of `idle-targets.ts`.
   */
  checkIdle?(config: Config, model: ModelOutline): void;
  /** Throws when the text that training starts from cannot be used. `encode` is the base model's tokenizer. */
  checkInitialText?(config: Config, model: ModelOutline, encode: (text: string) => number[]): void;
  /** Positions that it takes before every sequence. */
  leadingPositions?(config: Config): LeadingPositions;
  /** How many numbers are trained, where they are not those of `fileTensors`: an encoder is left behind. */
  trainedParameters?(config: Config, model: ModelOutline): number;
  /**
   * Numbers that a step keeps for its backward pass for each position, beside what the model's own layers keep; for estimates.
   * Absent: few.
   */
  keptNumbers?(config: Config, model: ModelOutline): number;
  /** Matrices of a weight's size in float32 that are there at once where stock operations read it, for the estimate; absent: none. */
  weightCopies?(config: Config): number;
  /** Ids of tokens whose rows the adapter holds. The tokenizer must have the same tokens at these ids. */
  tokens?(config: Config): number[];

  // The adapter's files.

  /**
   * The tensors that adapter_model.safetensors must hold for this model, and no others. Called after `check`. Absent: files made
   * elsewhere are not taken.
   */
  fileTensors?(config: Config, model: ModelOutline): FileTensor[];

  /**
   * Words in the names of the method's own tensors, such as "prompt". `graft inspect` groups tensors by their name from the part on
   * that holds one of these words. Leave out when tensors have the names of the base model's parameters.
   */
  tensorNames?: string[];
  /** The config as adapter_config.json holds it, where it differs from `config`. The name is null when the base model has none. */
  written?(config: Config, baseModelName: string | null): Record<string, unknown>;
  /** Fields that Python writes as floats: 0.0 and not 0. */
  floats?: string[];
  /** Reader and writer for a library whose files differ from HF PEFT's adapter_config.json and adapter_model.safetensors. */
  files?: MethodFiles<Config>;
}

/** Fields of every method's config. */
export interface MethodConfig {
  peft_type: string;
  task_type: TaskType;
}

/** A configuration with which the method learns the example task, at its automatic learning rate. */
export interface Trial {
  /** Options of the method, without peft_type and task_type. */
  options: Record<string, unknown>;
  /** Passes over the data. */
  epochs: number;
}

/** Positions that a method takes before every sequence. */
export interface LeadingPositions {
  /** Tokens of the sequence itself, with trained embeddings. */
  virtualTokens: number;
  /** Keys and values of attention alone. */
  prefixLength: number;
}

/** Nothing is known of narrower models: they are taken to be as wide. */
const NARROWEST = 256;

/**
 * So many times the rate at which AdamW tunes all weights of a base model, to two digits. That rate falls with the width:
 * 5e-5 · (2000 / width) ^ e; where no e is known it is 2e-5, which suits models of some billion parameters.
 * Source: Schulman et al. 2025, Thinking Machines, who fitted e for two families of decoders and found that updates of low rank
 * take ten times as much.
 */
export function rateByWidth(times: number, model?: RatedModel): number {
  const exponent = model?.rateExponent;
  const ofAll =
    exponent === undefined ? 2e-5 : 5e-5 * (2000 / Math.max(NARROWEST, model!.hiddenSize)) ** exponent;
  return Number((times * ofAll).toPrecision(2));
}
