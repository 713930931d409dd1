import type { AdapterVerification } from '@graft/peft-core';
import type { Device, Precision } from '../devices.ts';
import { placesOf } from '../processes/confinement.ts';
import {
  type Call,
  type Failed,
  ForkedProcess,
  type Gone,
  type ProcessOptions,
} from '../processes/forked-process.ts';
import type { Access } from '../processes/slot-folder.ts';
import {
  checkTrainer,
  type SeriesPart,
  type TrainerMessages,
  type TrainerRecord,
  type TrainingRequest,
  type VerificationRequest,
} from './trainer-protocol.ts';
import { fewestSteps, TrainerTalk } from './untrusted/trainer-talk.ts';

/** How a trainer's work on a job ended. */
export type TrainerOutcome = TrainerMessages['result'] | Failed | Gone;

export interface TrainerRun {
  /** Whose job it is: a confined child computes for one team alone. Absent: nobody's, as of a check. */
  team?: string;
  /** Optimizer steps that the job may have, of all trials: they bound what a trainer may say of it. */
  mostSteps?: number;
  /** The next message is taken, and the call is over, when it resolves. */
  onRecord?: (record: TrainerRecord) => void | Promise<void>;
  /** The next message is taken when it resolves. */
  room?: () => Promise<void> | undefined;
  onVerification?: (verification: AdapterVerification) => void;
  onKernels?: ((sets: readonly string[]) => void) | undefined;
  onSpeed?: ((flops: number) => void) | undefined;
  /** Aborted: the trainer finishes its step, writes a checkpoint and stops. */
  stop: AbortSignal;
  /** Aborted: the trainer is killed, within about 50 ms. */
  kill: AbortSignal;
}

type CheckedRun = TrainerRun & Pick<Call<TrainerMessages>, 'check'>;

/** The worker's side of one trainer slot: a child process that trains one job at a time. */
export class TrainerProcess {
  readonly device: Device;
  /** What children of calls from now on may hold of their card's memory; undefined: all, or there is none. */
  cardBytes: number | undefined;
  readonly #options: ProcessOptions;
  readonly #process: ForkedProcess<TrainerMessages>;
  /** Under way, or waiting for the proof under way. */
  #calls = 0;
  /** A job may come while it lasts. */
  #proof: { over: Promise<unknown>; end(): void } | null = null;
  #verifier: TrainerProcess | null = null;
  #deadline = Number.POSITIVE_INFINITY;

  constructor(options: ProcessOptions) {
    this.device = options.device;
    this.cardBytes = options.cardBytes;
    this.#options = options;
    this.#process = new ForkedProcess(
      'trainer',
      { results: ['finished', 'stopped'], check: checkTrainer },
      options,
    );
  }

  get atWork(): boolean {
    return this.#calls > 0;
  }

  /** How soon a job of this team begins: 2 in the running child, 1 in a first one, 0 in a new one in place of another team's. */
  readinessFor(team: string): 0 | 1 | 2 {
    const held = this.#process.slot?.team ?? null;
    if (this.pid === null) return 1;
    return held === null || held === team ? 2 : 0;
  }

  /** Of the running child, if any: for logs and tests. */
  get pid(): number | null {
    return this.#process.pid;
  }

  /** What the child, or the last one, wrote of late to its standard output and error: TensorFlow's log. */
  get output(): string {
    return this.#process.output;
  }

  /** The child ends itself after this time of `performance.now()`, unless it is put off: its lease is over then. */
  holdUntil(time: number): void {
    this.#deadline = time;
    this.#process.holdUntil(time);
    this.#verifier?.holdUntil(time);
  }

  /** Trains one job of a team; one at a time. `onRecord` gets its records in order, all of them before the outcome. */
  async run(request: TrainingRequest, run: TrainerRun): Promise<TrainerOutcome> {
    const { outputDir, snapshotDir, checkpoints } = request;
    const writes = [outputDir, checkpoints.dir, ...(snapshotDir ? [snapshotDir] : [])];
    const reads = [...readsOf(request), ...checkpoints.candidates.map(({ dir }) => dir)];
    const talk = new TrainerTalk({
      ...request,
      mostSteps: run.mostSteps ?? fewestSteps,
      stop: run.stop,
    });
    const checked: CheckedRun = { ...run, check: (message) => talk.refuse(message) };
    return await this.#callWith({ team: run.team ?? '', writes, reads }, request, checked, (place) => ({
      type: 'train',
      request: {
        ...request,
        ...readFrom(request, place),
        checkpoints: {
          ...checkpoints,
          candidates: checkpoints.candidates.map((each) => ({ ...each, dir: place(each.dir) })),
        },
      },
    }));
  }

  /** Measures a finished job's files in a child of its own, which has seen nothing of the training. */
  async verify(request: VerificationRequest, run: TrainerRun): Promise<TrainerOutcome> {
    // The base as it is served is larger than the one that the child of the training still holds.
    // On a card two of them have no room: each may hold all that one may.
    if (request.served || this.device.kind === 'gpu') await this.#endChild(run.kill);
    const fresh = new TrainerProcess({ ...this.#options, cardBytes: this.cardBytes });
    fresh.holdUntil(this.#deadline);
    this.#verifier = fresh;
    const access = { team: run.team ?? '', writes: [], reads: [...readsOf(request), request.adapterDir] };
    try {
      const checked = { ...run, check: onlyOnce('verification') };
      return await fresh.#callWith(access, request, checked, (place) => ({
        type: 'verify',
        request: {
          ...request,
          ...readFrom(request, place),
          adapterDir: place(request.adapterDir),
        },
      }));
    } finally {
      this.#verifier = null;
      await fresh.close();
    }
  }

  /**
   * Has the child compute something whose result is known, and with `onSpeed` measures how fast. Null: it is at work, which
   * proves as much, or was wanted for it.
   */
  async prove(
    computing: { precision: Precision; threads: number },
    kill: AbortSignal,
    { onKernels, onSpeed }: Pick<TrainerRun, 'onKernels' | 'onSpeed'> = {},
  ): Promise<TrainerOutcome | null> {
    if (this.atWork) return null;
    const wanted = new AbortController();
    const end = AbortSignal.any([kill, wanted.signal]);
    const measure = onSpeed !== undefined;
    const { kind } = this.device;
    const message = { type: 'prove', precision: computing.precision, device: kind, measure } as const;
    const check = onlyOnce('kernels', 'speed');
    const outcome = this.#call(message, computing, { stop: end, kill: end, onKernels, onSpeed, check });
    this.#proof = { over: outcome.catch(() => {}), end: () => wanted.abort() };
    try {
      const { type } = await outcome;
      return wanted.signal.aborted && type === 'killed' ? null : await outcome;
    } finally {
      this.#proof = null;
    }
  }

  /** Frees its memory; the next call starts another. */
  async #endChild(kill: AbortSignal): Promise<void> {
    this.#calls += 1;
    try {
      await this.#afterProof(kill);
      await this.#process.close();
    } finally {
      this.#calls -= 1;
    }
  }

  async close(): Promise<void> {
    await this.#process.close();
    await this.#process.slot?.remove();
  }

  /** Lets a confined child at what the call needs while it lasts. `message` gets where the child finds it. */
  async #callWith(
    access: Access,
    { basePath, requirements }: Pick<TrainingRequest, 'basePath' | 'requirements'>,
    run: CheckedRun,
    message: (place: (path: string) => string) => TrainerMessages['call'],
  ): Promise<TrainerOutcome> {
    const { slot } = this.#process;
    if (!slot)
      return await this.#call(
        message((path) => path),
        requirements,
        run,
      );
    const places = await slot.open(access);
    const asked = message((path) => places.get(path)!);
    try {
      return await this.#call(asked, { ...requirements, reads: placesOf(basePath) }, run);
    } finally {
      await slot.close(access, places);
    }
  }

  async #call(
    message: TrainerMessages['call'],
    computing: { precision: Precision; threads: number; reads?: readonly string[] },
    run: CheckedRun,
  ): Promise<TrainerOutcome> {
    const { stop, kill, check } = run;
    const { cardBytes } = this;
    const { precision, threads, reads = [] } = computing;
    this.#calls += 1;
    try {
      await this.#afterProof(kill);
      const once = async () =>
        await this.#answerOf(
          { message, precision, threads, cardBytes, reads, stop, kill, check: check! },
          run,
        );
      const outcome = await once();
      // Killed from outside before it had begun, perhaps for memory that another job held: it says nothing of the job, and too
      // little of this machine for the job to wait a minute and go elsewhere.
      const isKilled = outcome.type === 'crashed' && !outcome.ready && outcome.exit.signal === 'SIGKILL';
      return isKilled && !stop.aborted && !kill.aborted ? await once() : outcome;
    } finally {
      this.#calls -= 1;
    }
  }

  async #answerOf(call: Call<TrainerMessages>, run: TrainerRun): Promise<TrainerOutcome> {
    const answer = this.#process.call(call);
    const series: SeriesPart[] = [];
    for (;;) {
      const { done, value } = await answer.next();
      if (done) return value;
      switch (value.type) {
        case 'series':
          series.push(value);
          break;
        case 'record': {
          const { record } = value;
          const whole = record.type === 'start' ? { ...record, series: series.splice(0) } : record;
          await run.onRecord?.(whole);
          await untilAborted(run.kill, run.room?.());
          break;
        }
        case 'kernels':
          run.onKernels?.(value.sets);
          break;
        case 'speed':
          run.onSpeed?.(value.flops);
          break;
        case 'verification':
          run.onVerification?.(value.verification);
          break;
      }
    }
  }

  /** A child makes one call at a time. Who need not go on any more does not wait for the proof. */
  async #afterProof(kill: AbortSignal): Promise<void> {
    const proof = this.#proof;
    if (!proof) return;
    if (kill.aborted) proof.end();
    kill.addEventListener('abort', proof.end);
    await proof.over;
    kill.removeEventListener('abort', proof.end);
  }
}

/** Of a call that is answered by events of these types, each once, and a result. */
function onlyOnce(...types: TrainerMessages['event']['type'][]): NonNullable<CheckedRun['check']> {
  const left = new Set<string>(types);
  return ({ type }) => {
    if (['ready', 'finished', 'stopped', 'failed'].includes(type)) return null;
    return left.delete(type) ? null : `${type}, which was not asked for`;
  };
}

/** Waits for `work`, unless the signal fires first. */
async function untilAborted(signal: AbortSignal, work: Promise<void> | undefined): Promise<void> {
  if (!work || signal.aborted) return;
  let stop = () => {};
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener('abort', stop, { once: true });
  });
  await Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', stop));
}

type Files = Pick<TrainingRequest, 'trainingFile' | 'validationFile' | 'initialAdapter'>;

/** What a confined child needs of the data folder to read. */
function readsOf({ trainingFile, validationFile, initialAdapter }: Files): string[] {
  return [trainingFile, validationFile, initialAdapter].filter((path) => path !== null);
}

function readFrom(
  { trainingFile, validationFile, initialAdapter }: Files,
  place: (path: string) => string,
): Files {
  return {
    trainingFile: place(trainingFile),
    validationFile: validationFile && place(validationFile),
    initialAdapter: initialAdapter && place(initialAdapter),
  };
}
