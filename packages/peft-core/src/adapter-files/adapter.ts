import type { SentencePrompts } from '../base-model/sentence-prompts.ts';
import type { PeftConfig } from '../config/index.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import type { HostTensor } from '../tensors/tensor-source.ts';
import type { AdapterCard, QuantisedBase } from './adapter-card.ts';
import type { AdapterConfigCommon } from './adapter-config.ts';

export interface Adapter {
  /** The config with PEFT's defaults filled in. */
  config: PeftConfig;
  common: AdapterConfigCommon;
  /** Tensors by key in the file. */
  tensors: Map<string, HostTensor>;
  /** Names of a classifier's classes, in order; null if the folder has none. */
  labels: string[] | null;
  /** True if a text may have several of them; false if the folder does not say so. */
  severalLabels: boolean;
  /** SHA-256 (hex) of the weights that it was trained on; null if the folder does not give it. PEFT's folders never do. */
  baseDigest: string | null;
  /** Variables of the chat template in the training on conversations; empty if the folder has none. */
  templateKwargs: TemplateKwargs;
  /** The chat template that replaces the base model's; null if the folder has none. */
  chatTemplate: string | null;
  /** Prompts of texts to embed; null: none. */
  sentencePrompts: SentencePrompts | null;
  /** The quantised base that it was trained on; null if the folder names none. */
  quantised: QuantisedBase | null;
}

export interface AdapterToWrite {
  peft: PeftConfig;
  baseModelNameOrPath: string | null;
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;
  card?: Omit<AdapterCard, 'modelClass'>;
  /** Names of a classifier's classes, in order. */
  labels?: readonly string[] | null;
  /** The chat template of the training, if it was not the base model's. */
  chatTemplate?: string | null;
  sentencePrompts?: SentencePrompts | null;
  /** SHA-256 (hex) of the base model's weights, for README.md. */
  baseDigest?: string | null;
  /** The base model's config.json, by which README.md names its class; required by methods with their own file format. */
  baseConfig?: Record<string, unknown>;
}
