import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import {
  type CheckpointCandidate,
  chooseKeepers,
  leaseFolder,
  removeOtherCheckpoints,
} from '@graft/peft-core/checkpoints';
import {
  type Checkpoint,
  type CheckpointStore,
  dataFolder,
  giveUpCheckpoints,
  instruments,
  isStorageAway,
  type Job,
  listKeptCheckpoints,
  makeFolder,
  type Services,
} from '@graft/service';
import { Fenced, type JobLease } from '../job-lease.ts';
import type { TrainerOutput } from '../untrusted/trainer-output.ts';

/** A checkpoint of the trainer's that is this process's own. */
interface TakenCheckpoint {
  dir: string;
  digest: string;
  bytes: number;
}

/**
 * The checkpoints of one job, for the holder of its lease. One exists once its row does. The trainer writes its own elsewhere: this
 * alone adds any, copies in the folder of its lease, and removes any.
 */
export class CheckpointKeeper {
  readonly #lease: JobLease;
  readonly #store: CheckpointStore;
  readonly #dataDir: string;
  readonly #log: Services['log'];
  readonly #leaving: AbortSignal;
  readonly #lost: AbortSignal;
  readonly #output: TrainerOutput;

  /** `leaving`: aborted when this worker ends before a store that is slow may have answered; `lost`: when no checkpoint is wanted. */
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
   * Where the trainer writes its own, and what it may go on from, newest first. Those that the store has are then on this
   * machine, the older ones too: the newest may turn out damaged. Throws GraftError `storage_away`, `storage_full`.
   */
  async forTrainer(): Promise<{ dir: string; candidates: CheckpointCandidate[] }> {
    const candidates = await this.#recorded();
    for (const candidate of candidates) await this.#store.fetch(this.keyOf(candidate.dir));
    // A trainer of another user passes, and lists nothing.
    await mkdir(this.#own, { recursive: true, mode: 0o711 });
    await makeFolder(this.#own, this.#dataDir);
    return { dir: this.#output.folders.checkpointDir, candidates };
  }

  /**
   * Takes what the trainer has written of this step. Null: this machine's storage has no room for it, or fails, or there is no time;
   * training may go on without it. Throws GraftError `trainer_refused`.
   */
  async take(step: number): Promise<TakenCheckpoint | null> {
    const signal = AbortSignal.any([this.#leaving, this.#lost]);
    try {
      const taken = await this.#output.checkpoint(step, this.#own, signal);
      instruments.checkpointBytes.inc(taken.bytes);
      return taken;
    } catch (error) {
      if (!signal.aborted && !isStorageAway(error)) throw error;
      this.#log.warn({ err: error, event: 'checkpoint_not_stored' }, 'a checkpoint could not be stored');
      return null;
    }
  }

  /** What the store and the checkpoint's row call a folder of this machine. */
  keyOf(dir: string): string {
    return relative(this.#dataDir, dir);
  }

  /**
   * Puts a finished checkpoint where every worker finds it. False: the store is away, full, or too slow for a worker that
   * leaves; training may go on without it. Throws the signal's reason at once when that fires.
   */
  async store(dir: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#store.put(this.keyOf(dir), AbortSignal.any([signal, this.#leaving]));
      return true;
    } catch (error) {
      const isLeaving = this.#leaving.aborted && !signal.aborted;
      if (!isLeaving && !isStorageAway(error)) throw error;
      this.#log.warn({ err: error, event: 'checkpoint_not_stored' }, 'a checkpoint could not be stored');
      return false;
    }
  }

  /**
   * After the checkpoint at `step` was recorded: removes all but the two newest that verify, of this and earlier attempts.
   * Answers those that were found damaged. A fault of the storage leaves all of them. Throws `Fenced`.
   */
  async prune(step: number): Promise<{ step: number; reason: string }[]> {
    try {
      const { kept, damaged, older } = await chooseKeepers(await this.#recorded());
      // With none to rely on, even one that seems damaged is left.
      if (kept.length === 0) return [];
      const steps = [...damaged, ...older].map((candidate) => candidate.step);
      // Whoever has lost the lease since learns it here, before anything is removed.
      await this.#lease.write((db, lease) => giveUpCheckpoints(db, lease, steps));
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

  /** Of this lease. */
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
