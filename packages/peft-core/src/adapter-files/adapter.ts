import type { PeftConfig } from '../config/index.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import type { HostTensor } from '../tensors/tensor-source.ts';
import type { AdapterCard, QuantisedBase } from './adapter-card.ts';
import type { AdapterConfigCommon } from './adapter-config.ts';

export interface Adapter {
  /** Complete: PEFT's defaults filled in. */
  config: PeftConfig;
  common: AdapterConfigCommon;
  /** By key of the file. */
  tensors: Map<string, HostTensor>;
  /** Names of a classifier's classes, in order; null where the folder does not have them. */
  labels: string[] | null;
  /** SHA-256 (hex) of the weights that it was trained on; null where the folder does not have it. PEFT's never do. */
  baseDigest: string | null;
  /** Variables of the chat template with which it learnt conversations; empty where the folder does not have them. */
  templateKwargs: TemplateKwargs;
  /** The quantised base that it was trained on; null where the folder names none. */
  quantised: QuantisedBase | null;
}

export interface AdapterToWrite {
  peft: PeftConfig;
  baseModelNameOrPath: string | null;
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;
  card?: AdapterCard;
  /** Names of a classifier's classes, in order. */
  labels?: readonly string[] | null;
  /** SHA-256 (hex) of the base model's weights, for README.md. */
  baseDigest?: string | null;
  /** The base model's config.json. Methods with files of their own need it. */
  baseConfig?: Record<string, unknown>;
}
