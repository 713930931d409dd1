export interface ResolveOptions {
  /** Models are kept under `<cacheDir>/models`. */
  cacheDir: string;
  /** Takes one line for people at a time. */
  onProgress?: ((line: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** HF_ENDPOINT and HF_TOKEN are read from here; the process's own environment by default. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Milliseconds before a failed transfer is tried again; 1000 by default. */
  retryDelay?: number | undefined;
}
