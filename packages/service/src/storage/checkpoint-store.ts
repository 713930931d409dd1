/**
 * Checkpoints, accessible from every machine. A key is a folder relative to the data folder,
 * `checkpoints/<jobId>/<epoch>/<token>/step-<n>`, with epoch and token of the lease that writes it (versions before tokens wrote
 * `<epoch>/step-<n>`). The trainer writes that folder on its own machine. A checkpoint exists once its row does, and `put` precedes the
 * row. All methods throw GraftError `storage_away`, `storage_full`.
 */
export interface CheckpointStore {
  /**
   * Stores the finished, durable local folder of this key, completely or not at all. The folder stays. Throws the signal's reason as soon
   * as it aborts.
   */
  put(key: string, signal?: AbortSignal): Promise<void>;
  /** Returns the local folder of the key, fetching it if needed. Null: it is not stored completely. The caller must verify the contents. */
  fetch(key: string): Promise<string | null>;
  /** Removes the key or everything below it, locally and in the store. Does nothing if it does not exist. */
  remove(key: string): Promise<void>;
  /** Yields the id of each job that has stored checkpoints, once. */
  jobs(): AsyncIterable<string>;
}
