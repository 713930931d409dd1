import type { TObject } from 'typebox';
import type { ModelOutline, TaskType } from '../outlines/outline.ts';
import type { Fault } from '../schema/check-fields.ts';
import type { MethodFiles } from './method-files.ts';

/** Fields of every method's config. */
export interface MethodConfig {
  peft_type: string;
  task_type: TaskType;
}

/** Positions that a method takes before every sequence. */
export interface LeadingPositions {
  /** Tokens of the sequence itself, with trained embeddings. */
  virtualTokens: number;
  /** Keys and values of attention alone. */
  prefixLength: number;
}

/** A configuration with which the method learns the example task. */
export interface Trial {
  /** Options of the method, without peft_type and task_type. */
  options: Record<string, unknown>;
  training: Record<string, unknown>;
  /** Passes over the data. */
  epochs: number;
}

/**
 * All that is known of one PEFT method without TensorFlow: the API, the command line, file readers and docs read it. It is
 * `tuners/<method>/method.ts`, with a row in `methods.ts`; `tuners/<method>/tuner.ts` trains, with a row in `registry.ts`.
 * Leave out each optional member that says nothing of the method.
 */
export interface Method<Config extends MethodConfig = MethodConfig> {
  // What a user wants to know before choosing it. docs/methods.md and model cards are made from it.

  /** The usual name, as the paper writes it. */
  title: string;
  /** When to choose it, in a sentence or two. */
  when: string;
  /** Address of the paper, or of the page that explains the method. */
  paper: string;
  /** Python library whose files Graft writes for it; null for a method of Graft's own, which is merged to be used elsewhere. */
  library: 'HF PEFT' | 'adapters' | null;
  /**
   * Other runtimes that serve such an adapter as it is, by their name, and whether one takes a config: say so only where the
   * runtime's source is known to read all that the adapter holds. Leave out when there are none.
   */
  servedBy?: Record<string, (config: Config) => boolean>;
  /** Options of a usual configuration: docs/methods.md counts the parameters that it trains. */
  usual: Record<string, unknown>;
  /**
   * How it learns examples/bike-shop. `languageModel` is for SmolLM2-135M: `npm run demo -- --method` trains it and asks for
   * `margin` more held-out points than the untrained model has. `classifier` is for MiniLM with ten classes: give it when the
   * method is to stand in the table that `npm run methods` writes into docs/methods.md, which then trains both.
   */
  trials: { languageModel: Trial & { margin: number }; classifier?: Trial };

  // The config.

  /** Every option with its default, by the library's names. A field without a default must be asked for in `faults`. */
  schema: TObject;
  /** Options that the library has for the method and Graft has not, with their defaults: at its default one asks for nothing. */
  unimplemented: Record<string, unknown>;
  /** Why a value that the library knows for an implemented option is not implemented; null for all other values. */
  unimplementedValue?(option: string, value: unknown): string | null;
  /** A request's shorthand, such as a preset, as the fields it stands for; before defaults are filled in. */
  expand?(given: Record<string, unknown>): Record<string, unknown>;
  /** Rules between fields, given only fields that fit the schema by themselves. */
  faults?(given: Record<string, unknown>): Fault[];
  /**
   * Options that say nothing beside the others, given as to `faults`. They are faults of a request. In files they are let
   * pass, because the library that wrote them passed over them.
   */
  idle?(given: Record<string, unknown>): Fault[];
  /** What `learning_rate: "auto"` means. */
  learningRate(config: Config): number;

  // The config on a base model, from config.json alone. All of these throw GraftErrors that name the option.

  /** Refuses a config that does not fit the model: of a request and of files, before anything is trained or read. */
  check(config: Config, model: ModelOutline): void;
  /**
   * Refuses options of a request that would do nothing on this model, such as a pattern that matches no module. A method with
   * target_modules calls `checkTargetNames` of `idle-targets.ts`.
   */
  checkIdle?(config: Config, model: ModelOutline): void;
  /** Refuses a text to start from that the base model's tokenizer, which `encode` is, makes nothing of. */
  checkInitialText?(config: Config, model: ModelOutline, encode: (text: string) => number[]): void;
  /** Positions that it takes before every sequence; leave out when it takes none. */
  leadingPositions?(config: Config): LeadingPositions;
  /** Ids of tokens whose rows the adapter holds: the tokenizer must have the same tokens there. */
  tokens?(config: Config): number[];

  // The adapter's files.

  /**
   * Words by which the names of the method's own tensors are told: `graft inspect` counts tensors by the name from the part on
   * that holds one. Leave out when the tensors have the names of the base model's parameters.
   */
  tensorNames?: string[];
  /** The config as adapter_config.json holds it, where it tells of the base model by its name; null when it has none. */
  written?(config: Config, baseModelName: string | null): Record<string, unknown>;
  /** Fields that Python writes as floats: 0.0 and not 0. */
  floats?: string[];
  /** Reads and writes the files where `library` is not HF PEFT, whose adapter_config.json and adapter_model.safetensors all other methods have. */
  files?: MethodFiles<Config>;
}
