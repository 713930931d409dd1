/** Reports the progress of a long transfer: about one line per second, and one at the end. */
export class TransferProgress {
  readonly #label: string;
  readonly #total: number;
  readonly #onProgress: (line: string) => void;
  readonly #started = performance.now();
  #reportedAt = this.#started;
  #bytes = 0;
  /** Bytes that existed before this attempt. */
  #given = 0;

  constructor(label: string, totalBytes: number, onProgress: (line: string) => void) {
    this.#label = label;
    this.#total = totalBytes;
    this.#onProgress = onProgress;
  }

  /** Adds bytes of an earlier attempt. */
  resume(bytes: number): void {
    this.#bytes += bytes;
    this.#given += bytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const now = performance.now();
    if (now - this.#reportedAt < 1000 && this.#bytes < this.#total) return;
    this.#reportedAt = now;
    const rate = ((this.#bytes - this.#given) / (now - this.#started)) * 1000;
    const percent = this.#total === 0 ? 100 : Math.floor((100 * this.#bytes) / this.#total);
    this.#onProgress(
      `${this.#label}: ${percent} % of ${megabytes(this.#total)} (${megabytes(Math.max(0, rate))}/s)`,
    );
  }
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
