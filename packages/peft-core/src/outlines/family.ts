import type { StackedNames } from '../tensors/stacked-tensors.ts';
import type { GgufFamily } from './gguf/gguf-family.ts';
import type { DefaultTargets, ModelOutline, TaskType } from './outline.ts';

/**
 * The description of a model family without TensorFlow. A decoder with rotary positions, RMSNorm and a gated feed-forward network
 * is one row in `outlines/decoders.ts`. Any other family is two files and two rows: this object in `outlines/<model_type>.ts` with its
 * row in `outlines/families.ts`, and the forward pass in `models/<model_type>.ts` with its row in `models/registry.ts`. No other code
 * names a family. Encoders share `outlines/encoder.ts`.
 */
export interface Family<Outline extends ModelOutline = ModelOutline> {
  /** Hugging Face's `model_type`, and the name of the family's files if it has its own. */
  modelType: string;
  /** The part of transformers' class names before `ForCausalLM`. */
  className: string;
  /** transformers' class for a task, if it is not `<className>For…`, or `<className>Model` for FEATURE_EXTRACTION. */
  classes?: Partial<Record<TaskType, string>>;
  /** The task of a base model whose config.json does not name the class that saved it. */
  defaultTask: TaskType;
  /**
   * Reads config.json for a task: sizes, weights and modules under transformers' names. The forward pass gets its sizes from here.
   * Throws `invalid_model_config`, which names every missing or invalid field, `unsupported_model`, `unsupported_task`.
   */
  outline(config: Record<string, unknown>, task: TaskType): Outline;
  /**
   * transformers' base_model_prefix and a dot, such as `model.`: the prefix of the body's names in a model with a head. A
   * checkpoint may omit it.
   */
  optionalPrefix: string;
  /** The default pooling: the state of the first or last token, or the mean of all; files of sentence-transformers override it. */
  pooling: 'first' | 'last' | 'mean';
  /** By `peft_type`: the default target modules. A method without an entry has no default. */
  defaultTargets: DefaultTargets;
  /**
   * Learning rates fall with this power of the width (`rateByWidth`). Absent if unknown.
   * Source for decoders: Schulman et al. 2025, Thinking Machines, who fitted two families. The value for encoders follows npm run
   * sweep at a width of 384, and is near the 5e-4 and 4e-4 with which Hu et al. 2021 train encoders of 768 and 1,024.
   */
  rateExponent?: number;
  /**
   * Modules that transformers always ties to the input embedding, unless the checkpoint holds separate weights for them.
   * The config passed to `outline` lists those with separate weights under UNTIED_WEIGHTS.
   */
  tiedByClass?: string[];
  /** Fields of config.json, beside `tie_word_embeddings: false`, when a tied head gets a separate weight. `config` is the base model's. */
  untiedFields?(config: Record<string, unknown>): Record<string, unknown>;
  /**
   * For a family that the `adapters` library supports by hooks instead of dedicated classes: `interface` of adapter_interface.json,
   * without `adapter_methods`. Null: the library has neither classes nor an interface for the family.
   */
  adaptersInterface?: Record<string, unknown> | null;
  /** As in `ModelOutline`. */
  formerModules?: Readonly<Record<string, string>>;
  /** Ends of the names of weights, and how checkpoints may end them that transformers writes. Absent: as the weights. */
  formerTensors?: Readonly<Record<string, string>>;
  /** Weights of experts of which checkpoints may have several tensors. */
  expertTensors?: StackedNames;
  /** Ends of the names of weights `(E, out, in)` that transformers' checkpoints hold as `(E, in, out)`, or in MXFP4. */
  turnedExperts?: readonly string[];
  /** Undefined if Graft neither reads nor writes GGUF files of the family. */
  gguf?: GgufFamily;
  /** For a model of several parts: how the text part of one with this config.json is written. Absent: as in `gguf`. */
  textGguf?(config: Record<string, unknown>): GgufFamily | undefined;
}

/**
 * A field that the reader of a checkpoint adds to config.json: names of the `tiedByClass` weights that the checkpoint stores
 * separately. Only Graft uses this field; it is never written to a file.
 */
export const UNTIED_WEIGHTS = 'untied_weights';

export function fromFamily(family: Family) {
  const { modelType, optionalPrefix, pooling, defaultTargets, rateExponent, tiedByClass, adaptersInterface } =
    family;
  const { formerModules } = family;
  return {
    modelType,
    optionalPrefix,
    pooling,
    defaultTargets,
    ...(rateExponent !== undefined && { rateExponent }),
    ...(tiedByClass && { tiedByClass }),
    ...(formerModules && { formerModules }),
    ...(adaptersInterface !== undefined && { adaptersInterface }),
  };
}
