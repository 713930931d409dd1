import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '@graft/peft-core/config';
import {
  appendEvent,
  findCheckpointAdapter,
  keptCheckpointAdapters,
  recordCheckpointAdapter,
} from '@graft/service/jobs';
import type { Services } from '@graft/service/services';
import { untilAborted } from '@graft/service/until-aborted';
import { Fenced, type JobLease } from '../job-lease.ts';
import { checkpointNotStoredMessage } from '../job-messages.ts';
import type { TrainerRecordOf } from '../trainer-protocol.ts';
import type { Copied, TrainerOutput } from '../untrusted/trainer-output.ts';

type Snapshot = TrainerRecordOf<'snapshot'> & { copy: Copied };

/** A client that has just read a checkpoint's row may still read its files for this long. */
const graceMilliseconds = 60_000;
/** Maximum time that a finished job waits for a slow store. */
const patienceMilliseconds = 30_000;

/**
 * Stores the adapters of a job's intermediate steps (snapshots), for the holder of its lease, and removes those that newer ones replace.
 * As for everything published, a snapshot exists once it has a row, which a worker without the lease cannot write. Training never waits
 * for snapshots, and their faults do not fail the job, unless the trainer wrote files that Graft's trainer does not.
 */
export class SnapshotKeeper {
  readonly #lease: JobLease;
  readonly #artifacts: Services['artifacts'];
  readonly #log: Services['log'];
  readonly #lineage: () => Promise<Record<string, unknown>>;
  readonly #output: TrainerOutput;
  readonly #leaving: AbortSignal;
  readonly #closing = new AbortController();
  #waiting: Snapshot[] = [];
  #working: Promise<void> | null = null;
  /** Objects without a row, and since when (`performance.now()`). The garbage collector removes those that remain at the end. */
  #unnamed: { artifact: string; at: number }[] = [];

  /** `leaving`: see `CheckpointKeeper`. */
  constructor(
    lease: JobLease,
    { artifacts }: Pick<Services, 'artifacts'>,
    log: Services['log'],
    from: { lineage: () => Promise<Record<string, unknown>>; output: TrainerOutput; leaving: AbortSignal },
  ) {
    this.#lease = lease;
    this.#artifacts = artifacts;
    this.#log = log;
    this.#lineage = from.lineage;
    this.#output = from.output;
    this.#leaving = from.leaving;
  }

  /**
   * Copies a snapshot from the trainer and queues it. Waiting snapshots that newer ones already replace, because the store is slow, are
   * dropped. Throws GraftError `trainer_refused`.
   */
  async keep(record: TrainerRecordOf<'snapshot'>): Promise<void> {
    if (this.#closing.signal.aborted) return;
    let copy: Copied;
    try {
      copy = await this.#output.snapshot(record.step);
    } catch (error) {
      if (error instanceof GraftError && error.code === 'trainer_refused') throw error;
      return await this.#reportLost(record, error);
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

  /** Resolves once all queued snapshots are stored; drops those that the store has not accepted in time. */
  async finish(): Promise<void> {
    const over = new AbortController();
    const { signal } = over;
    const late = sleep(patienceMilliseconds, undefined, { signal }).catch(() => {});
    await Promise.race([this.#working, late]);
    over.abort();
    this.#closing.abort(new Error('The store did not take it in time.'));
    await this.#working;
  }

  /** Stops storing snapshots, without an event; resolves when the last write is over. */
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
        await this.#reportLost(next, error);
      }
      await this.#output.drop(next.copy);
    }
  }

  async #keep(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { step, copy, best, metrics, trainedTokens } = snapshot;
    const lineage = await this.#lineage();
    // A resumed run repeats steps whose snapshots are already stored.
    const { known } = await this.#lease.write(async (db) => ({
      known: await findCheckpointAdapter(db, this.#lease.job, step, copy.files),
    }));
    const stored = known ?? (await untilAborted(this.#artifacts.publish(copy.folder), signal));
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

  /** Reports a snapshot that could not be stored, unless the lease is lost, or the job or this worker is ending. */
  async #reportLost({ step }: Pick<Snapshot, 'step'>, error: unknown): Promise<void> {
    if (error instanceof Fenced || (error instanceof Error && error.name === 'AbortError')) return;
    this.#log.warn({ err: error, event: 'checkpoint_not_kept', step }, 'a checkpoint could not be kept');
    const event = { level: 'warn', message: checkpointNotStoredMessage(step), data: { step } } as const;
    try {
      await this.#lease.write((db, lease) => appendEvent(db, lease, event));
    } catch (again) {
      if (!(again instanceof Fenced)) this.#log.warn({ err: again, step }, 'the event could not be written');
    }
  }

  async #removeUnnamed(): Promise<void> {
    const before = performance.now() - graceMilliseconds;
    const due = this.#unnamed.filter(({ at }) => at <= before);
    this.#unnamed = this.#unnamed.filter(({ at }) => at > before);
    for (const { artifact } of due) {
      await this.#artifacts.remove(artifact).catch((err) =>
        // The garbage collector removes it later.
        this.#log.warn({ err, artifact }, 'an unused adapter could not be removed'),
      );
    }
  }
}
