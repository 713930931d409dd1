import { randomBytes } from 'node:crypto';
import { rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  describeCheckpoint,
  folderOfStep,
  folderOfTrial,
  isCheckpointFile,
  isCheckpointFolder,
  Unusable,
} from '@graft/peft-core/checkpoints';
import { GraftError } from '@graft/peft-core/config';
import { checkWrittenAdapter, mostBytesOfAdapterFile } from '@graft/peft-core/files';
import {
  type AdapterFile,
  copyUntrusted,
  dataFolder,
  type Expected,
  fsyncFolder,
  removeBelow,
  Unexpected,
} from '@graft/service';

/** A folder that is this process's own, and what it holds. */
export interface Copied {
  folder: string;
  files: AdapterFile[];
}

/** `trainer_refused`: what a trainer has sent or left is not what one of Graft does. */
function trainerRefused(what: string, cause?: unknown): GraftError {
  const message = `The trainer was ended: ${what}.`;
  return new GraftError('trainer_refused', message, { fault: 'system', cause });
}

/**
 * What the trainer of one attempt writes, in folders of the attempt's staging folder that are named here by kind, step and trial. Nothing
 * of it is used or moved: all is copied, and the copies are checked. Methods throw `trainer_refused` where it is not what a trainer
 * leaves, and GraftError `storage_away`, `storage_full`.
 */
export class TrainerOutput {
  readonly folders: { outputDir: string; snapshotDir: string; checkpointDir: string };
  readonly #staging: string;
  readonly #root: string;
  /** Of the files of the base model, in bytes: an adapter is at most as large as all weights in a wider type. */
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

  /** What the sizes of its files follow from. */
  async expect(job: { weightFiles: readonly string[]; trials: number }): Promise<void> {
    this.#trials = Math.max(1, job.trials);
    this.#baseBytes = 0;
    for (const file of job.weightFiles) this.#baseBytes += (await stat(file)).size;
  }

  /** The finished adapter, of a sweep that of a trial, from 1. */
  async adapter(trial: number | null): Promise<Copied> {
    const { outputDir } = this.folders;
    return await this.#copyAdapter(trial === null ? outputDir : join(outputDir, folderOfTrial(trial - 1)));
  }

  /** The adapter of a step along the way, which the trainer's own folder then holds no more. */
  async snapshot(step: number): Promise<Copied> {
    const from = join(this.folders.snapshotDir, folderOfStep(step));
    return await this.#copyAdapter(from).finally(() => this.#remove(from));
  }

  /** Moves the checkpoint of a step into the folder `dir` for checkpoints, as a whole, and answers what it is there. */
  async checkpoint(
    step: number,
    dir: string,
    signal: AbortSignal,
  ): Promise<{ dir: string; digest: string; bytes: number }> {
    const from = join(this.folders.checkpointDir, folderOfStep(step));
    const to = join(dir, folderOfStep(step));
    const draft = `${to}.tmp-${randomBytes(8).toString('hex')}`;
    // Adapter, two moments and the best adapter, in a wider type than the base model's, of each trial.
    const expected: Expected = {
      totalBytes: this.#trials * (smallest + 32 * this.#baseBytes),
      mostBytes: (path) => (isCheckpointFile(path) ? Number.POSITIVE_INFINITY : null),
      isFolder: isCheckpointFolder,
      signal,
    };
    try {
      // Gone whatever comes of it: on a disk that is full, those that could not be copied would add up.
      const files = await this.#copy(from, draft, expected).finally(() => this.#remove(from));
      const described = await describeCheckpoint(draft, step, files);
      await rename(draft, to);
      await fsyncFolder(dir);
      return { dir: to, ...described };
    } catch (error) {
      await removeBelow(dir, draft);
      if (error instanceof Unusable)
        throw trainerRefused(`its checkpoint of step ${step} is not whole`, error);
      throw error;
    }
  }

  /** Removes a copy. */
  async drop({ folder }: Pick<Copied, 'folder'>): Promise<void> {
    await this.#remove(folder);
  }

  async #copyAdapter(from: string): Promise<Copied> {
    const folder = join(this.#staging, `copy-${randomBytes(8).toString('hex')}`);
    const totalBytes = smallest + 8 * this.#baseBytes;
    const files = await this.#copy(from, folder, { totalBytes, mostBytes: mostBytesOfAdapterFile });
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

  /** What cannot be removed goes with the job's staging folder. */
  async #remove(folder: string): Promise<void> {
    await removeBelow(this.#root, folder).catch(() => {});
  }
}

/** What adapters and checkpoints of tiny models may have, whatever their model. */
const smallest = 2 ** 30;
