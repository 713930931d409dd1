import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '@graft/peft-core/config';
import {
  appendEvent,
  findCheckpointAdapter,
  keptCheckpointAdapters,
  recordCheckpointAdapter,
  type Services,
} from '@graft/service';
import { Fenced, type JobLease } from '../job-lease.ts';
import { notKeptMessage } from '../job-messages.ts';
import type { TrainerRecordOf } from '../trainer-protocol.ts';
import type { Copied, TrainerOutput } from '../untrusted/trainer-output.ts';

type Snapshot = TrainerRecordOf<'snapshot'> & { copy: Copied };

/** Whoever has just found a checkpoint's row may still be about to read its files. */
const graceMilliseconds = 60_000;
/** So long a job that is over waits for a store that is slow. */
const patienceMilliseconds = 30_000;

/**
 * The adapters of a job's steps along the way, for the holder of its lease: puts each into the store, and gives up those that newer
 * ones make needless. The row makes one exist, as of all that is published: who has lost the lease writes none. Nothing that
 * training needs waits for them, and no fault of theirs is the job's, unless the trainer left what one of Graft does not.
 */
export class SnapshotKeeper {
  readonly #lease: JobLease;
  readonly #artifacts: Services['artifacts'];
  readonly #log: Services['log'];
  readonly #lineage: () => Promise<Record<string, unknown>>;
  readonly #output: TrainerOutput;
  readonly #leaving: AbortSignal;
  /** Aborted when none is kept any more. */
  readonly #closing = new AbortController();
  /** Those whose turn has not come. */
  #waiting: Snapshot[] = [];
  #working: Promise<void> | null = null;
  /** Objects that no row names any more, since when by `performance.now()`. What is left of them at the end is collected. */
  #unnamed: { artifact: string; at: number }[] = [];

  /** `leaving`: see `CheckpointKeeper`. */
  constructor(
    lease: JobLease,
    { artifacts }: Pick<Services, 'artifacts'>,
    log: Services['log'],
    from: {
      lineage: () => Promise<Record<string, unknown>>;
      output: TrainerOutput;
      leaving: AbortSignal;
    },
  ) {
    this.#lease = lease;
    this.#artifacts = artifacts;
    this.#log = log;
    this.#lineage = from.lineage;
    this.#output = from.output;
    this.#leaving = from.leaving;
  }

  /**
   * Takes it from the trainer, and keeps it in its turn. Those that would be given up at once, since a slow store has not taken them yet,
   * are passed over. Throws GraftError `trainer_refused`.
   */
  async keep(record: TrainerRecordOf<'snapshot'>): Promise<void> {
    if (this.#closing.signal.aborted) return;
    let copy: Copied;
    try {
      copy = await this.#output.snapshot(record.step);
    } catch (error) {
      if (error instanceof GraftError && error.code === 'trainer_refused') throw error;
      return await this.#tell(record, error);
    }
    if (this.#closing.signal.aborted) return await this.#output.drop(copy);
    const snapshot = { ...record, copy };
    this.#waiting.push(snapshot);
    const isKept = ({ step }: Snapshot, at: number) =>
      at >= this.#waiting.length - keptCheckpointAdapters || step === snapshot.best?.step;
    for (const each of this.#waiting.filter((each, at) => !isKept(each, at)))
      void this.#output.drop(each.copy);
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
      await this.#output.drop(next.copy);
    }
  }

  async #keep(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { step, copy, best, metrics, trainedTokens } = snapshot;
    const lineage = await this.#lineage();
    // A resumed run makes again what was kept before.
    const { known } = await this.#lease.write(async (db) => ({
      known: await findCheckpointAdapter(db, this.#lease.job, step, copy.files),
    }));
    const stored = known ?? (await orAborted(this.#artifacts.publish(copy.folder), signal));
    const unnamed = await this.#lease.write((db, lease) =>
      recordCheckpointAdapter(db, lease, {
        ...stored,
        step,
        lineage,
        bestStep: best?.step ?? null,
        metrics: {
          trainLoss: snapshot.trainingLoss,
          trainTokenAccuracy: snapshot.trainingAccuracy,
          validationLoss: snapshot.validationLoss,
          validationTokenAccuracy: snapshot.validationAccuracy,
          validation: metrics,
          trainedTokens,
        },
      }),
    );
    const at = performance.now();
    this.#unnamed.push(...unnamed.map((artifact) => ({ artifact, at })));
    await this.#removeUnnamed();
  }

  /** That one could not be kept; nothing of it when the lease is lost, or the job or this worker is leaving. */
  async #tell({ step }: Pick<Snapshot, 'step'>, error: unknown): Promise<void> {
    if (error instanceof Fenced || (error instanceof Error && error.name === 'AbortError')) return;
    this.#log.warn({ err: error, event: 'checkpoint_not_kept', step }, 'a checkpoint could not be kept');
    const event = { level: 'warn', message: notKeptMessage(step), data: { step } } as const;
    try {
      await this.#lease.write((db, lease) => appendEvent(db, lease, event));
    } catch (again) {
      if (!(again instanceof Fenced)) this.#log.warn({ err: again, step }, 'nobody could be told of it');
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
