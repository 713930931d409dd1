import { GraftError } from '@graft/peft-core/config';
import type { BaseModel, HubModel, SentencePrompts } from '@graft/peft-core/files';
import type { PackedTokenizer } from '@graft/peft-core/text';

export interface BaseModelEntry {
  /** Name that requests use as `model`. */
  id: string;
  /** Origin of the model; for logs and the operator. */
  source: 'bundled' | 'operator' | 'hub' | 'added';
  /** The same model on the Hugging Face Hub; null if it is known only by its files. */
  hub: HubModel | null;
  createdAt: Date;
}

export interface ConfiguredEntry extends BaseModelEntry {
  source: 'bundled' | 'operator' | 'hub';
}

/** A base model that is on this machine. */
export interface LocalBaseModel {
  id: string;
  /** Folder or file. */
  path: string;
  modelType: string;
  config: Record<string, unknown>;
  generationConfig: BaseModel['generationConfig'];
  tokenizer: PackedTokenizer;
  tensors: Pick<BaseModel['tensors'], 'names' | 'has' | 'info'>;
  /** Bytes of config and tokenizer as JSON, the chat template, and prompts of texts to embed (null: none), for exports and jobs. */
  smallFiles: { bytes: number; chatTemplate: string | null; prompts: SentencePrompts | null };
  /** Folder that caches `digest`, for a process that opens the model at `path` itself. */
  digestCache: string;
  weightFiles: readonly string[];
  /** Returns the SHA-256 of the current weight files; computed once per state of the files and cached. */
  digest(): Promise<string>;
}

/**
 * Returns the model, fetching it first if needed. Null: unknown id. Throws `baseModelFault` if the model cannot be fetched or read: a
 * system fault whose message contains no path.
 */
type GetBaseModel = (
  id: string,
  options?: { onProgress?: ((message: string) => void) | undefined; signal?: AbortSignal | undefined },
) => Promise<LocalBaseModel | null>;

/** The configured models; ids from requests never act as paths or patterns. */
export interface ConfiguredCatalogue {
  /** Lists the bundled models, the operator's entries, and the Hub ids that are allowed by their full name. */
  list(): Promise<ConfiguredEntry[]>;
  /** Returns whether the id names an entry or matches an allowed Hub pattern; downloads nothing. */
  has(id: string): Promise<boolean>;
  /** Synchronous form of `has`. */
  knows(id: string): boolean;
  get: GetBaseModel;
  /**
   * Slowly rereads the weights of the models opened here, each once a week. Returns the ids of models whose bytes changed silently; their
   * `digest` reflects the change from then on.
   */
  scrub(signal?: AbortSignal): Promise<string[]>;
}

/** The models that can be fine-tuned or called: configured models and models that the operator added. */
export interface BaseModelCatalogue extends Pick<ConfiguredCatalogue, 'scrub'> {
  /** Returns whether the id is a configured model's, so that no added model can use it. */
  isConfigured(id: string): boolean;
  /** Lists the configured models regardless of which teams may see them. */
  configured(): Promise<ConfiguredEntry[]>;
  /** Lists the models that a team sees, configured models first. */
  list(teamId: string): Promise<BaseModelEntry[]>;
  /** Returns whether a team may start something with this model; a model that the team may not see counts as missing. */
  has(id: string, teamId: string): Promise<boolean>;
  /** Returns whether the operator lets a team use the model, hidden or not: for adapters that were trained on it. */
  permits(id: string, teamId: string): Promise<boolean>;
  /** Ignores permissions: for accepted jobs, whose team saw the model when it created them. */
  get: GetBaseModel;
}

/** The id of a base model on the Hub; null: it is known only by its files. */
export async function hubIdOf(
  baseModels: Pick<BaseModelCatalogue, 'list' | 'configured'>,
  teamId: string,
  id: string,
): Promise<string | null> {
  const entries = [...(await baseModels.list(teamId)), ...(await baseModels.configured())];
  const entry = entries.find((each) => each.id === id);
  if (entry) return entry.hub?.id ?? null;
  // A model that a pattern of the operator allows has its id on the Hub.
  return /^[\w.-]+\/[\w.-]+$/.test(id) ? id : null;
}

/**
 * Throws `model_not_permitted` unless the operator lets the team use the base model of an adapter version: exports contain its weights. `again`:
 * the team was permitted to use it before.
 */
export async function checkPermitted(
  models: Pick<BaseModelCatalogue, 'permits'>,
  { teamId, baseModel }: { teamId: string; baseModel: string },
  { again = false } = {},
): Promise<void> {
  if (await models.permits(baseModel, teamId)) return;
  throw new GraftError(
    'model_not_permitted',
    `The operator does not let this team use the base model ${baseModel}${again ? ' any more' : ''}; ask the operator to permit it${again ? ' again' : ''}.`,
    { param: 'version' },
  );
}
