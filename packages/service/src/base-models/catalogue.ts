import type { BaseModel, HubModel } from '@graft/peft-core/files';
import type { PackedTokenizer } from '@graft/peft-core/text';

export interface BaseModelEntry {
  /** What requests name as `model`. */
  id: string;
  /** Where it comes from; for logs and the operator. */
  source: 'bundled' | 'operator' | 'hub' | 'added';
  /** The same model on the Hugging Face Hub; null: it is known by its files alone. */
  hub: HubModel | null;
  createdAt: Date;
}

/** One that the configuration names. */
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
  /** Names and shapes of its weights. */
  tensors: Pick<BaseModel['tensors'], 'has' | 'info'>;
  /** Folder where `digest` is kept, for a process that opens the model at `path` itself. */
  digestCache: string;
  /** Files that hold its weights. */
  weightFiles: readonly string[];
  /** SHA-256 over the weights, of the files as they are now; computed once for each state of them and cached. */
  digest(): Promise<string>;
}

/**
 * The model, fetched first if it must be. Null: the id names none. Throws `baseModelFault` when it cannot be fetched or
 * read: a system fault whose message holds no path.
 */
type GetBaseModel = (
  id: string,
  options?: { onProgress?: ((message: string) => void) | undefined; signal?: AbortSignal | undefined },
) => Promise<LocalBaseModel | null>;

/** The models of the configuration: never a path or a pattern from a request. */
export interface ConfiguredCatalogue {
  /** The bundled models, the operator's entries, and Hub ids allowed by their whole name. */
  list(): Promise<ConfiguredEntry[]>;
  /** Whether the id names an entry or matches an allowed Hub pattern; downloads nothing. */
  has(id: string): Promise<boolean>;
  /** The same, at once. */
  knows(id: string): boolean;
  get: GetBaseModel;
  /**
   * Reads the weights of the models that were opened here through, slowly, each once a week. Answers the ids of those whose bytes
   * have changed without a trace; `digest` tells of it from then on.
   */
  scrub(signal?: AbortSignal): Promise<string[]>;
}

/** The models that may be fine-tuned or called: of the configuration, and those that the operator has added. */
export interface BaseModelCatalogue extends Pick<ConfiguredCatalogue, 'scrub'> {
  /** Whether an id is the configuration's, so that none of the same can be added. */
  isConfigured(id: string): boolean;
  /** The models of the configuration, whoever may see them. */
  configured(): Promise<ConfiguredEntry[]>;
  /** What a team sees, those of the configuration first. */
  list(teamId: string): Promise<BaseModelEntry[]>;
  /** Whether a team may begin something with a model of this id; one that it may not see is as one that does not exist. */
  has(id: string, teamId: string): Promise<boolean>;
  /** Whether the operator lets a team use the model, hidden or not: for what was trained on it. */
  permits(id: string, teamId: string): Promise<boolean>;
  /** Whoever asks: of an accepted job, whose team may have seen it then. */
  get: GetBaseModel;
}
