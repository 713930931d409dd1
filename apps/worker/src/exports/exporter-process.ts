import { mkdir } from 'node:fs/promises';
import { placesOf } from '../processes/confinement.ts';
import { type Failed, ForkedProcess, type Gone, type ProcessOptions } from '../processes/forked-process.ts';
import { checkExporter, type ExporterMessages, type WritingRequest } from './exporter-protocol.ts';

export type ExporterOutcome = ExporterMessages['result'] | Failed | Gone;

/** Runs one export at a time, each in a separate child process. */
export class ExporterProcess {
  readonly #process: ForkedProcess<ExporterMessages>;

  constructor(options: ProcessOptions) {
    this.#process = new ForkedProcess('exporter', { results: ['written'], check: checkExporter }, options);
  }

  /** The process id of the running child, for logs and tests; null where none runs. */
  get pid(): number | null {
    return this.#process.pid;
  }

  /** Sets the time (of `performance.now()`) at which the lease ends, and with it the child; a later call extends it. */
  holdUntil(time: number): void {
    this.#process.holdUntil(time);
  }

  /**
   * Writes an export of a team; calls must not overlap. `take` must copy the files from `outputDir`, which a confined child owns: they are
   * removed afterwards. It is called after the child has ended.
   */
  async write(
    request: WritingRequest,
    run: {
      team: string;
      onProgress(done: number, total: number): void;
      /** Called if all is written. */
      take(notes: readonly string[]): Promise<void>;
      /** Aborted: the child is killed. */
      kill: AbortSignal;
    },
  ): Promise<ExporterOutcome> {
    const { slot } = this.#process;
    const { adapterDir, outputDir, basePath } = request;
    const access = { team: run.team, writes: [outputDir], reads: [adapterDir] };
    // A confined child gets a private folder, which is renamed to this one.
    if (!slot) await mkdir(outputDir);
    const places = await slot?.open(access);
    try {
      const outcome = await this.#answer(
        { ...request, adapterDir: places?.get(adapterDir) ?? adapterDir },
        slot ? placesOf(basePath) : [],
        run,
      );
      // Before its files are read, so that they no longer change.
      await this.#process.close();
      if (outcome.type === 'written') await run.take(outcome.notes);
      return outcome;
    } finally {
      await this.#process.close();
      if (places) await slot!.close(access, places);
    }
  }

  async close(): Promise<void> {
    await this.#process.close();
    await this.#process.slot?.remove();
  }

  async #answer(
    request: WritingRequest,
    reads: readonly string[],
    { kill, onProgress }: { kill: AbortSignal; onProgress(done: number, total: number): void },
  ): Promise<ExporterOutcome> {
    const answer = this.#process.call({
      message: { type: 'write', request },
      precision: 'fp32',
      reads,
      stop: kill,
      kill,
    });
    for (;;) {
      const { done, value } = await answer.next();
      if (done) return value;
      onProgress(value.done, value.total);
    }
  }
}
