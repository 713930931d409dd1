/**
 * An export format: the files that another runtime reads, written from a base model and an adapter. This file and each
 * `exports/<format>/format.ts` (a row in `formats.ts`) load no TensorFlow. The part that computes is `exports/<format>/write.ts` (a row
 * in `writers.ts`).
 */
import type { TObject } from 'typebox';
import type { TensorInfo, TensorSource } from '../tensors/tensor-source.ts';
import type { PeftConfig } from '../tuners/methods.ts';

/** Properties of an adapter and its base model that decide whether a format holds them, and how large its files are. */
export interface ExportedAdapter {
  config: PeftConfig;
  /** config.json of the base model. */
  modelConfig: Record<string, unknown>;
  /** Names, stored types and shapes of the base model's tensors, experts' matrices stacked: those of an open `BaseModel`. */
  tensors: StoredModel;
  /** The template of conversations: the adapter's own, else the base model's; null without one. */
  chatTemplate: string | null;
  adapterBytes: number;
  /** Bytes of the base model's small files: config and tokenizer as JSON with an indentation of two spaces, and those that are copied. */
  smallFileBytes: number;
}

/** Tensors without values. */
export interface StoredModel extends Pick<TensorSource, 'names' | 'has'> {
  info(name: string): TensorInfo;
}

/** Inputs of the model card of published files. */
export interface CardSubject {
  /** `owner/name` on the Hub. */
  repository: string;
  /** The base model: a Hub id, or any other name. */
  base: string;
  /** The class of transformers that loads the base model for the adapter's task (`autoClass`). */
  modelClass: string;
  /** Null: unknown. */
  config: PeftConfig | null;
}

/** A format's parts of a model card on the Hugging Face Hub. */
export interface FormatCard {
  /** The Hub's `base_model_relation`: what the files are of the base model. Source: huggingface.co/docs/hub/model-cards. */
  relation(options: Record<string, unknown>): 'adapter' | 'finetune' | 'quantized';
  /** Lines of front matter with the Hub's `library_name`. */
  library(config: PeftConfig | null): string[];
  /** Markdown with the code that loads the files. Names are escaped. */
  usage(subject: CardSubject): string;
  /** Checks whether a folder with these files has the format. */
  recognises(names: readonly string[]): boolean;
}

/** Why an adapter cannot be exported. `param` is the request field: `format`, or `options.<option>`. */
export interface ExportRefusal {
  param: string;
  /** Names the reason and the remedy. */
  message: string;
}

export interface ExportFormat<Options = Record<string, unknown>> {
  /** The name in requests: `merged`. */
  name: string;
  title: string;
  /** One sentence: what the format is for. */
  summary: string;
  /** Programs that read the files. */
  runtimes: readonly string[];
  /** A sentence for docs/exports.md: which parts of an adapter the format holds, bakes into weights or does not hold. */
  holds: string;
  /** Options in snake_case. Every option has a default and a description; `additionalProperties` is false. */
  options: TObject;
  /** Writing the files renders the chat template, to find the texts around turns. Default: it does not. */
  rendersTemplate?: true;
  /** Null if the format holds this adapter with these options. */
  refusal(adapter: ExportedAdapter, options: Options): ExportRefusal | null;
  card: FormatCard;
  /** The bytes that the files have at most, for checks of disks and quotas: within about 2 % of their size. */
  bytes(adapter: ExportedAdapter, options: Options): number;
}
