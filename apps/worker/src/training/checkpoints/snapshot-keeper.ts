import { rm } from 'node:fs/promises';
import type { TrainRecord } from '@graft/peft-core';
import {
  appendEvent,
  findCheckpointAdapter,
  isStorageAway,
  keptCheckpointAdapters,
  recordCheckpointAdapter,
  type Services,
} from '@graft/service';
import type { JobLease } from '../job-lease.ts';

type Snapshot = Extract<TrainRecord, { type: 'snapshot' }>;

/** Whoever has just found a checkpoint's row may still be about to read its files. */
const graceMilliseconds = 60_000;

/**
 * The adapters of a job's steps along the way, for the holder of its lease: puts each into the store, and gives up those that newer
 * ones make needless. The row makes one exist, as of all that is published: who has lost the lease writes none.
 */
export class SnapshotKeeper {
  readonly #lease: JobLease;
  readonly #artifacts: Services['artifacts'];
  readonly #log: Services['log'];
  readonly #lineage: () => Promise<Record<string, unknown>>;
  readonly #takeBack: (folder: string) => Promise<void>;
  /** Those whose turn has not come. */
  readonly #waiting: Snapshot[] = [];
  /** Objects that no row names any more, since when by `performance.now()`. What is left of them at the end is collected. */
  #unnamed: { artifact: string; at: number }[] = [];

  /** `takeBack` makes a folder that the trainer wrote this process's own. */
  constructor(
    lease: JobLease,
    { artifacts }: Pick<Services, 'artifacts'>,
    log: Services['log'],
    from: { lineage: () => Promise<Record<string, unknown>>; takeBack: (folder: string) => Promise<void> },
  ) {
    this.#lease = lease;
    this.#artifacts = artifacts;
    this.#log = log;
    this.#lineage = from.lineage;
    this.#takeBack = from.takeBack;
  }

  /**
   * What keeps the snapshot once its turn has come. A store that is away costs the checkpoint, not the job. That throws `Fenced`, and
   * the signal's reason at once when that fires.
   */
  accept(snapshot: Snapshot): (signal: AbortSignal) => Promise<void> {
    this.#waiting.push(snapshot);
    return async (signal) => {
      this.#waiting.shift();
      try {
        if (!this.#isOvertaken(snapshot)) await this.#keep(snapshot, signal);
      } finally {
        await rm(snapshot.dir, { recursive: true, force: true });
      }
    };
  }

  /** Whether those that came while others were stored make it needless: a store that is slow is not given what is given up at once. */
  #isOvertaken({ step }: Snapshot): boolean {
    return this.#waiting.length >= keptCheckpointAdapters && this.#waiting.at(-1)!.best?.step !== step;
  }

  async #keep(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { step, best, files, metrics, trainedTokens } = snapshot;
    const lineage = await this.#lineage();
    // A resumed run makes again what was kept before.
    const { known } = await this.#lease.write(async (db) => ({
      known: await findCheckpointAdapter(db, this.#lease.job, step, files),
    }));
    const stored = known ?? (await this.#store(snapshot, signal));
    if (!stored) return;
    const unnamed = await this.#lease.write((db, lease) =>
      recordCheckpointAdapter(db, lease, {
        ...stored,
        ...{ step, lineage, bestStep: best?.step ?? null },
        metrics: {
          trainLoss: snapshot.trainingLoss,
          trainTokenAccuracy: snapshot.trainingAccuracy,
          validationLoss: snapshot.validationLoss,
          validationTokenAccuracy: snapshot.validationAccuracy,
          ...{ validation: metrics, trainedTokens },
        },
      }),
    );
    const at = performance.now();
    this.#unnamed.push(...unnamed.map((artifact) => ({ artifact, at })));
    await this.#removeUnnamed();
  }

  async #store({ step, dir }: Snapshot, signal: AbortSignal) {
    try {
      await this.#takeBack(dir);
      return await orAborted(this.#artifacts.publish(dir), signal);
    } catch (error) {
      if (!isStorageAway(error)) throw error;
      this.#log.warn({ err: error, event: 'checkpoint_not_kept', step }, 'a checkpoint could not be kept');
      const message = `The adapter of step ${step} could not be stored: this checkpoint cannot be called.`;
      await this.#lease.write((db, lease) =>
        appendEvent(db, lease, { level: 'warn', message, data: { step } }),
      );
      return null;
    }
  }

  async #removeUnnamed(): Promise<void> {
    const before = performance.now() - graceMilliseconds;
    const due = this.#unnamed.filter(({ at }) => at <= before);
    this.#unnamed = this.#unnamed.filter(({ at }) => at > before);
    for (const { artifact } of due) {
      await this.#artifacts.remove(artifact).catch((err) =>
        // It is collected.
        this.#log.warn({ err, artifact }, 'an adapter that was given up could not be removed'),
      );
    }
  }
}

/** What `work` gives, unless the signal fires first: then nobody waits for it. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
