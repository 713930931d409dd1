import type { BaseModel } from '@graft/peft-core/files';

export interface BaseModelEntry {
  /** What requests name as `model`. */
  id: string;
  /** Where it comes from; for logs and the operator. */
  source: 'bundled' | 'operator' | 'hub';
  createdAt: Date;
}

/** A base model that is on this machine. */
export interface LocalBaseModel {
  id: string;
  /** Folder or file. */
  path: string;
  modelType: string;
  config: Record<string, unknown>;
  generationConfig: BaseModel['generationConfig'];
  tokenizerFiles: BaseModel['tokenizerFiles'];
  /** Names and shapes of its weights. */
  tensors: Pick<BaseModel['tensors'], 'has' | 'info'>;
  /** Folder where `digest` is kept, for a process that opens the model at `path` itself. */
  digestCache: string;
  /** Files that hold its weights. */
  weightFiles: readonly string[];
  /** SHA-256 over the weights, of the files as they are now; computed once for each state of them and cached. */
  digest(): Promise<string>;
}

/** The models that may be fine-tuned or called: never a path or a pattern from a request. */
export interface BaseModelCatalogue {
  /** The bundled models, the operator's entries, and Hub ids allowed by their whole name. */
  list(): Promise<BaseModelEntry[]>;
  /** Whether the id names an entry or matches an allowed Hub pattern; downloads nothing. */
  has(id: string): Promise<boolean>;
  /**
   * The model, fetched first if it must be. Null: the id names none. Throws `baseModelFault` when it cannot be fetched or
   * read: a system fault whose message holds no path.
   */
  get(
    id: string,
    options?: { onProgress?: (message: string) => void; signal?: AbortSignal },
  ): Promise<LocalBaseModel | null>;
  /**
   * Reads the weights of the models that were opened here through, slowly, each once a week. Answers the ids of those whose bytes
   * have changed without a trace; `digest` tells of it from then on.
   */
  scrub(signal?: AbortSignal): Promise<string[]>;
}
