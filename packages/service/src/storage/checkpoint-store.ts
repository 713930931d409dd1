/**
 * Checkpoints where every machine finds them. A key is a folder relative to the data folder,
 * `checkpoints/<jobId>/<epoch>/<token>/step-<n>`, of the lease that writes it (versions before tokens wrote `<epoch>/step-<n>`); the
 * trainer writes that folder on its own machine. A checkpoint exists once its row
 * does, and `put` comes before the row. All methods throw GraftError `storage_away`, `storage_full`.
 */
export interface CheckpointStore {
  /**
   * Stores the finished, durable local folder of this key: whole, or not at all. The folder stays. Throws the signal's reason
   * at once when that fires.
   */
  put(key: string, signal?: AbortSignal): Promise<void>;
  /** Absolute local folder of the key, fetched if it is not there. Null: it is not stored whole. Whoever adopts it verifies it. */
  fetch(key: string): Promise<string | null>;
  /** Removes the key, or everything under it, here and in the store. Silent when it is gone already. */
  remove(key: string): Promise<void>;
  /** Ids of jobs that have something stored, each once. */
  jobs(): AsyncIterable<string>;
}
