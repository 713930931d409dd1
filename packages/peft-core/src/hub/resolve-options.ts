import type { HubFile } from './hub-files.ts';

export interface ResolveOptions {
  /** Models are kept under `<cacheDir>/models`. */
  cacheDir: string;
  /** Takes one line for people at a time. */
  onProgress?: ((line: string) => void) | undefined;
  /** Told what the model consists of, before it is fetched. Not called for one that is there already. */
  onFiles?: ((files: readonly HubFile[]) => void) | undefined;
  /** Bytes that have come, those of an earlier attempt included; negative when some have to be fetched again. */
  onBytes?: ((bytes: number) => void) | undefined;
  /** What has to be left on the disk. 0 by default. */
  minFreeBytes?: number | undefined;
  signal?: AbortSignal | undefined;
  /** HF_ENDPOINT and HF_TOKEN are read from here; the process's own environment by default. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Milliseconds before a failed transfer is tried again; 1000 by default. */
  retryDelay?: number | undefined;
}
