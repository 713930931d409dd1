import { randomBytes } from 'node:crypto';
import { rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  describeCheckpoint,
  folderOfStep,
  folderOfTrial,
  InvalidCheckpoint,
  isCheckpointFile,
  isCheckpointFolder,
} from '@graft/peft-core/checkpoints';
import { GraftError } from '@graft/peft-core/config';
import { checkWrittenAdapter, maxAdapterFileBytes } from '@graft/peft-core/files';
import { dataFolder } from '@graft/service/data-folder';
import {
  type AdapterFile,
  copyUntrusted,
  type Expected,
  fsyncFolder,
  removeBelow,
  Unexpected,
} from '@graft/service/storage';

/** A folder owned by this process, and the files in it. */
export interface Copied {
  folder: string;
  files: AdapterFile[];
}

/** Creates the error for messages or files that Graft's trainer does not produce. */
function trainerRefused(what: string, cause?: unknown): GraftError {
  const message = `The trainer was ended: ${what}.`;
  return new GraftError('trainer_refused', message, { fault: 'system', cause });
}

/**
 * The files that the trainer of one attempt writes, in subfolders of the attempt's staging folder, which are named by kind, step and
 * trial. The worker never uses or moves these files: it copies them and checks the copies. Methods throw `trainer_refused` for files
 * that a trainer does not write, and GraftError `storage_away`, `storage_full`.
 */
export class TrainerOutput {
  readonly folders: { outputDir: string; snapshotDir: string; checkpointDir: string };
  readonly #staging: string;
  readonly #root: string;
  /** Size of the base model's files in bytes. An adapter is at most as large as all weights in a wider type. */
  #baseBytes = 0;
  #trials = 1;

  constructor(dataDir: string, staging: string) {
    this.#staging = staging;
    this.#root = dataFolder(dataDir).staging;
    this.folders = {
      outputDir: join(staging, 'adapter'),
      snapshotDir: join(staging, 'snapshots'),
      checkpointDir: join(staging, 'checkpoints'),
    };
  }

  /** Sets the limits for the sizes of the files. */
  async expect(job: { weightFiles: readonly string[]; trials: number }): Promise<void> {
    this.#trials = Math.max(1, job.trials);
    this.#baseBytes = 0;
    for (const file of job.weightFiles) this.#baseBytes += (await stat(file)).size;
  }

  /** Copies the finished adapter; for a sweep that of a trial, from 1. */
  async adapter(trial: number | null): Promise<Copied> {
    const { outputDir } = this.folders;
    return await this.#copyAdapter(trial === null ? outputDir : join(outputDir, folderOfTrial(trial - 1)));
  }

  /** Copies the adapter of an intermediate step and removes the trainer's files. */
  async snapshot(step: number): Promise<Copied> {
    const from = join(this.folders.snapshotDir, folderOfStep(step));
    return await this.#copyAdapter(from).finally(() => this.#remove(from));
  }

  /** Copies the checkpoint of a step into the folder `dir`, atomically, removes the trainer's files, and describes the copy. */
  async checkpoint(
    step: number,
    dir: string,
    signal: AbortSignal,
  ): Promise<{ dir: string; digest: string; bytes: number }> {
    const from = join(this.folders.checkpointDir, folderOfStep(step));
    const to = join(dir, folderOfStep(step));
    const draft = `${to}.tmp-${randomBytes(8).toString('hex')}`;
    // Per trial: adapter, two moments and the best adapter, in a wider type than the base model's.
    const expected: Expected = {
      totalBytes: this.#trials * (smallest + 32 * this.#baseBytes),
      maxBytes: (path) => (isCheckpointFile(path) ? Number.POSITIVE_INFINITY : null),
      isFolder: isCheckpointFolder,
      signal,
    };
    try {
      // Removed even if copying fails: on a full disk, they would accumulate.
      const files = await this.#copy(from, draft, expected).finally(() => this.#remove(from));
      const described = await describeCheckpoint(draft, step, files);
      await rename(draft, to);
      await fsyncFolder(dir);
      return { dir: to, ...described };
    } catch (error) {
      await removeBelow(dir, draft);
      if (error instanceof InvalidCheckpoint)
        throw trainerRefused(`its checkpoint of step ${step} is not whole`, error);
      throw error;
    }
  }

  async drop({ folder }: Pick<Copied, 'folder'>): Promise<void> {
    await this.#remove(folder);
  }

  async #copyAdapter(from: string): Promise<Copied> {
    const folder = join(this.#staging, `copy-${randomBytes(8).toString('hex')}`);
    const totalBytes = smallest + 8 * this.#baseBytes;
    const files = await this.#copy(from, folder, { totalBytes, maxBytes: maxAdapterFileBytes });
    try {
      await checkWrittenAdapter(
        folder,
        files.map(({ path }) => path),
      );
    } catch (error) {
      await this.#remove(folder);
      if (error instanceof GraftError && error.fault === 'user')
        throw trainerRefused('the files of its adapter are broken', error);
      throw error;
    }
    return { folder, files };
  }

  async #copy(from: string, to: string, expected: Expected): Promise<AdapterFile[]> {
    try {
      return await copyUntrusted(this.#root, from, to, expected);
    } catch (error) {
      if (error instanceof Unexpected)
        throw trainerRefused(`of what it has written, ${error.message}`, error);
      throw error;
    }
  }

  /** Removes a folder. If that fails, it is removed with the job's staging folder. */
  async #remove(folder: string): Promise<void> {
    await removeBelow(this.#root, folder).catch(() => {});
  }
}

/** Minimum size limit of adapters and checkpoints, for tiny base models. */
const smallest = 2 ** 30;
