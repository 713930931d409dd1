import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import {
  type CheckpointCandidate,
  chooseRetained,
  leaseFolder,
  removeOtherCheckpoints,
} from '@graft/peft-core/checkpoints';
import { dataFolder } from '@graft/service/data-folder';
import { type Checkpoint, type Job, listKeptCheckpoints, markCheckpointsDeleted } from '@graft/service/jobs';
import { instruments } from '@graft/service/observe';
import type { Services } from '@graft/service/services';
import { type CheckpointStore, isStorageUnavailable, makeFolder } from '@graft/service/storage';
import { Fenced, type JobLease } from '../job-lease.ts';
import type { TrainerOutput } from '../untrusted/trainer-output.ts';

/** A checkpoint of the trainer that was copied to this process's folder. */
interface TakenCheckpoint {
  dir: string;
  digest: string;
  bytes: number;
}

/**
 * Manages the checkpoints of one job for the holder of its lease. A checkpoint exists once it has a row. The trainer writes to a
 * separate folder: only this class adds checkpoints, as copies in the folder of the lease, and removes them.
 */
export class CheckpointKeeper {
  readonly #lease: JobLease;
  readonly #store: CheckpointStore;
  readonly #dataDir: string;
  readonly #log: Services['log'];
  readonly #leaving: AbortSignal;
  readonly #lost: AbortSignal;
  readonly #output: TrainerOutput;

  /** `leaving`: aborted when this worker ends before a slow store may have answered. `lost`: aborted when no checkpoint is needed. */
  constructor(
    lease: JobLease,
    { checkpoints, env }: Pick<Services, 'checkpoints' | 'env'>,
    log: Services['log'],
    { leaving, lost, output }: { leaving: AbortSignal; lost: AbortSignal; output: TrainerOutput },
  ) {
    this.#leaving = leaving;
    this.#lost = lost;
    this.#output = output;
    this.#lease = lease;
    this.#store = checkpoints;
    this.#dataDir = env.dataDir;
    this.#log = log;
  }

  /**
   * The folder where the trainer writes checkpoints, and the candidates to resume from, newest first. Fetches all of them from the
   * store, because the newest may be damaged. Throws GraftError `storage_away`, `storage_full`.
   */
  async forTrainer(): Promise<{ dir: string; candidates: CheckpointCandidate[] }> {
    const candidates = await this.#recorded();
    for (const candidate of candidates) await this.#store.fetch(this.keyOf(candidate.dir));
    // A trainer of another user may pass through the folder, but not list it.
    await mkdir(this.#own, { recursive: true, mode: 0o711 });
    await makeFolder(this.#own, this.#dataDir);
    return { dir: this.#output.folders.checkpointDir, candidates };
  }

  /**
   * Copies the trainer's checkpoint of a step. Null: this machine's storage is full or fails, or there is no time; training can
   * continue without the checkpoint. Throws GraftError `trainer_refused`.
   */
  async take(step: number): Promise<TakenCheckpoint | null> {
    const signal = AbortSignal.any([this.#leaving, this.#lost]);
    try {
      const taken = await this.#output.checkpoint(step, this.#own, signal);
      instruments.checkpointBytes.inc(taken.bytes);
      return taken;
    } catch (error) {
      if (!signal.aborted && !isStorageUnavailable(error)) throw error;
      this.#log.warn({ err: error, event: 'checkpoint_not_stored' }, 'a checkpoint could not be stored');
      return null;
    }
  }

  /** The key of a local folder, as used in the store and in the checkpoint's row. */
  keyOf(dir: string): string {
    return relative(this.#dataDir, dir);
  }

  /**
   * Uploads a finished checkpoint to the store, where every worker finds it. False: the store is unavailable, full, or too slow for a
   * worker that is shutting down; training can continue without it. Throws the reason of `signal` as soon as it is aborted.
   */
  async store(dir: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#store.put(this.keyOf(dir), AbortSignal.any([signal, this.#leaving]));
      return true;
    } catch (error) {
      const isLeaving = this.#leaving.aborted && !signal.aborted;
      if (!isLeaving && !isStorageUnavailable(error)) throw error;
      this.#log.warn({ err: error, event: 'checkpoint_not_stored' }, 'a checkpoint could not be stored');
      return false;
    }
  }

  /**
   * Called after the checkpoint of `step` was recorded: removes all but the two newest valid checkpoints, of this and earlier attempts.
   * Returns the damaged ones. When the storage fails, removes nothing. Throws `Fenced`.
   */
  async prune(step: number): Promise<{ step: number; reason: string }[]> {
    try {
      const { kept, damaged, older } = await chooseRetained(await this.#recorded());
      // Without a valid one, keep even those that seem damaged.
      if (kept.length === 0) return [];
      const steps = [...damaged, ...older].map((candidate) => candidate.step);
      // This write fails if the lease was lost, before anything is removed.
      await this.#lease.write((db, lease) => markCheckpointsDeleted(db, lease, steps));
      await removeOtherCheckpoints(this.#folder, this.#lease.id, step, kept);
      for (const { dir } of [...damaged, ...older]) await this.#store.remove(this.keyOf(dir));
      return damaged;
    } catch (error) {
      if (error instanceof Fenced) throw error;
      this.#log.warn({ err: error, step }, 'old checkpoints could not be removed');
      return [];
    }
  }

  get #job(): Job {
    return this.#lease.job;
  }

  /** Folder of this lease. */
  get #own(): string {
    return join(this.#folder, leaseFolder(this.#job.leaseEpoch, this.#job.leaseToken));
  }

  get #folder(): string {
    return dataFolder(this.#dataDir).checkpointsOf(this.#job.id);
  }

  async #recorded(): Promise<CheckpointCandidate[]> {
    const { teamId, id } = this.#job;
    const rows = await this.#lease.write((db) => listKeptCheckpoints(db, teamId, id));
    return rows.map(({ path, step, digest }: Checkpoint) => ({
      dir: join(this.#dataDir, path),
      step,
      digest,
    }));
  }
}
