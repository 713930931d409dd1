import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TrainRecord } from '@graft/peft-core';
import {
  appendEvent,
  findCheckpointAdapter,
  keptCheckpointAdapters,
  recordCheckpointAdapter,
  type Services,
} from '@graft/service';
import { Fenced, type JobLease } from '../job-lease.ts';
import { notKeptMessage } from '../job-messages.ts';

type Snapshot = Extract<TrainRecord, { type: 'snapshot' }>;

/** Whoever has just found a checkpoint's row may still be about to read its files. */
const graceMilliseconds = 60_000;
/** So long a job that is over waits for a store that is slow. */
const patienceMilliseconds = 30_000;

/**
 * The adapters of a job's steps along the way, for the holder of its lease: puts each into the store, and gives up those that newer
 * ones make needless. The row makes one exist, as of all that is published: who has lost the lease writes none. Nothing that
 * training needs waits for them, and no fault of theirs is the job's.
 */
export class SnapshotKeeper {
  readonly #lease: JobLease;
  readonly #artifacts: Services['artifacts'];
  readonly #log: Services['log'];
  readonly #lineage: () => Promise<Record<string, unknown>>;
  readonly #takeOut: (folder: string) => Promise<string>;
  readonly #leaving: AbortSignal;
  /** Aborted when none is kept any more. */
  readonly #closing = new AbortController();
  /** Those whose turn has not come. */
  #waiting: Snapshot[] = [];
  #working: Promise<void> | null = null;
  /** Objects that no row names any more, since when by `performance.now()`. What is left of them at the end is collected. */
  #unnamed: { artifact: string; at: number }[] = [];

  /** `takeOut` moves a folder that the trainer wrote to where it cannot change it, and answers that. `leaving`: see `CheckpointKeeper`. */
  constructor(
    lease: JobLease,
    { artifacts }: Pick<Services, 'artifacts'>,
    log: Services['log'],
    from: {
      lineage: () => Promise<Record<string, unknown>>;
      takeOut: (folder: string) => Promise<string>;
      leaving: AbortSignal;
    },
  ) {
    this.#lease = lease;
    this.#artifacts = artifacts;
    this.#log = log;
    this.#lineage = from.lineage;
    this.#takeOut = from.takeOut;
    this.#leaving = from.leaving;
  }

  /** Keeps it in its turn. Those that would be given up at once, since a slow store has not taken them yet, are passed over. */
  keep(snapshot: Snapshot): void {
    if (this.#closing.signal.aborted) return;
    this.#waiting.push(snapshot);
    const isKept = ({ step }: Snapshot, at: number) =>
      at >= this.#waiting.length - keptCheckpointAdapters || step === snapshot.best?.step;
    for (const { dir } of this.#waiting.filter((each, at) => !isKept(each, at))) void this.#removeFolder(dir);
    this.#waiting = this.#waiting.filter(isKept);
    this.#working ??= this.#keepAll().finally(() => {
      this.#working = null;
    });
  }

  /** Resolves once all that came are kept; gives up those that the store has not taken in time. */
  async finish(): Promise<void> {
    const over = new AbortController();
    const { signal } = over;
    const late = sleep(patienceMilliseconds, undefined, { signal }).catch(() => {});
    await Promise.race([this.#working, late]);
    over.abort();
    this.#closing.abort(new Error('The store did not take it in time.'));
    await this.#working;
  }

  /** Keeps none any more, and says nothing of it; resolves when the last write is over. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#working;
  }

  async #keepAll(): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, this.#leaving]);
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      try {
        signal.throwIfAborted();
        await this.#keep(next, signal);
      } catch (error) {
        await this.#tell(next, error);
      }
      await this.#removeFolder(next.dir);
    }
  }

  async #keep(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { step, dir, best, files, metrics, trainedTokens } = snapshot;
    const lineage = await this.#lineage();
    // A resumed run makes again what was kept before.
    const { known } = await this.#lease.write(async (db) => ({
      known: await findCheckpointAdapter(db, this.#lease.job, step, files),
    }));
    const stored = known ?? (await orAborted(this.#artifacts.publish(await this.#takeOut(dir)), signal));
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

  /** That one could not be kept; nothing of it when the lease is lost, or the job or this worker is leaving. */
  async #tell({ step }: Snapshot, error: unknown): Promise<void> {
    if (error instanceof Fenced || (error instanceof Error && error.name === 'AbortError')) return;
    this.#log.warn({ err: error, event: 'checkpoint_not_kept', step }, 'a checkpoint could not be kept');
    const event = { level: 'warn', message: notKeptMessage(step), data: { step } } as const;
    try {
      await this.#lease.write((db, lease) => appendEvent(db, lease, event));
    } catch (again) {
      if (!(again instanceof Fenced)) this.#log.warn({ err: again, step }, 'nobody could be told of it');
    }
  }

  /** What cannot be removed goes with the job's staging folder. */
  async #removeFolder(dir: string): Promise<void> {
    await rm(dir, { recursive: true, force: true }).catch(() => {});
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
