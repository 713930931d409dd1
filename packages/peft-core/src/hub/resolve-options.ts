import type { HubFile } from './hub-files.ts';

export interface ResolveOptions {
  /** Models are stored under `<cacheDir>/models`. */
  cacheDir: string;
  /** Called with progress messages, one line at a time. */
  onProgress?: ((line: string) => void) | undefined;
  /** Called with the model's files before they are downloaded. Not called if the model is already on disk. */
  onFiles?: ((files: readonly HubFile[]) => void) | undefined;
  /** Called with the number of bytes received, including those of an earlier attempt; negative if bytes must be downloaded again. */
  onBytes?: ((bytes: number) => void) | undefined;
  /** Bytes that must remain free on the disk, default 0. */
  minFreeBytes?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Environment with HF_ENDPOINT and HF_TOKEN, default the process's own. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Milliseconds before the retry of a failed transfer, default 1000. */
  retryDelay?: number | undefined;
}
