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
import { fewestSteps, TrainerMessageCheck } from './untrusted/trainer-message-check.ts';

export type TrainerOutcome = TrainerMessages['result'] | Failed | Gone;

export interface TrainerRun {
  /** The team of the job; a confined child computes for one team only. Absent: no team, as for a check. */
  team?: string;
  /** Upper bound of the job's optimizer steps, for all trials, which limits what a trainer may report. */
  maxSteps?: number;
  /** The next message is handled, and the call ends, after it resolves. */
  onRecord?: (record: TrainerRecord) => void | Promise<void>;
  /** The next message is handled after it resolves. */
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
  /** Card memory limit in bytes for children of later calls; undefined: no limit, or no card. */
  cardBytes: number | undefined;
  readonly #options: ProcessOptions;
  readonly #process: ForkedProcess<TrainerMessages>;
  /** Number of calls that run or wait for the check to end. */
  #calls = 0;
  /** The running check. A job may arrive during it. */
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

  /** How soon a job of this team can start: 2 in the running child, 1 in a first child, 0 in a new child that replaces another team's. */
  readinessFor(team: string): 0 | 1 | 2 {
    const held = this.#process.slot?.team ?? null;
    if (this.pid === null) return 1;
    return held === null || held === team ? 2 : 0;
  }

  /** The process id of the running child, for logs and tests; null where none runs. */
  get pid(): number | null {
    return this.#process.pid;
  }

  /** Recent standard output and error of the child, or of the last one: TensorFlow's log. */
  get output(): string {
    return this.#process.output;
  }

  /** Sets the time (of `performance.now()`) at which the child ends itself, because its lease is over, unless it is extended. */
  holdUntil(time: number): void {
    this.#deadline = time;
    this.#process.holdUntil(time);
    this.#verifier?.holdUntil(time);
  }

  /** Trains one job of a team; calls must not overlap. `onRecord` gets the records in order, all of them before the outcome. */
  async run(request: TrainingRequest, run: TrainerRun): Promise<TrainerOutcome> {
    const { outputDir, snapshotDir, checkpoints } = request;
    const writes = [outputDir, checkpoints.dir, ...(snapshotDir ? [snapshotDir] : [])];
    const reads = [...readsOf(request), ...checkpoints.candidates.map(({ dir }) => dir)];
    const messages = new TrainerMessageCheck({
      ...request,
      maxSteps: run.maxSteps ?? fewestSteps,
      stop: run.stop,
    });
    const checked: CheckedRun = { ...run, check: (message) => messages.refuse(message) };
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

  /** Measures a finished job's files in a separate child, which has not seen the training. */
  async verify(request: VerificationRequest, run: TrainerRun): Promise<TrainerOutcome> {
    // The served base is larger than the quantised one, which the training's child still has in memory. On a card there is not enough
    // memory for two children, because each may use the trainer's limit.
    if (request.served || this.device.kind === 'gpu') await this.#endChild(run.kill);
    const fresh = new TrainerProcess({ ...this.#options, cardBytes: this.cardBytes });
    fresh.holdUntil(this.#deadline);
    this.#verifier = fresh;
    const access = { team: run.team ?? '', writes: [], reads: [...readsOf(request), request.adapterDir] };
    try {
      const checked = { ...run, check: onlyOnce('verification') };
      return await fresh.#callWith(access, request, checked, (place) => ({
        type: 'verify',
        request: { ...request, ...readFrom(request, place), adapterDir: place(request.adapterDir) },
      }));
    } finally {
      this.#verifier = null;
      await fresh.close();
    }
  }

  /**
   * Lets the child compute something with a known result, and measures its speed if `onSpeed` is given. Null: the child is training,
   * which shows as much, or was interrupted for a job.
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

  /** Ends the child to free its memory; the next call starts another. */
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

  /** Gives a confined child access to the call's files while the call lasts. `message` gets the paths where the child finds them. */
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
      // The child was killed from outside before it had started, perhaps because another job used too much memory. That is neither the
      // job's fault nor a reason to delay the job and move it to another worker, so it is tried again.
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

  /** Waits for the running check, because a child handles one call at a time. Aborting `kill` ends the check. */
  async #afterProof(kill: AbortSignal): Promise<void> {
    const proof = this.#proof;
    if (!proof) return;
    if (kill.aborted) proof.end();
    kill.addEventListener('abort', proof.end);
    await proof.over;
    kill.removeEventListener('abort', proof.end);
  }
}

/** Checks the messages of a call that is answered by events of these types, each at most once, and a result. */
function onlyOnce(...types: TrainerMessages['event']['type'][]): NonNullable<CheckedRun['check']> {
  const left = new Set<string>(types);
  return ({ type }) => {
    if (['ready', 'finished', 'stopped', 'failed'].includes(type)) return null;
    return left.delete(type) ? null : `${type}, which was not requested`;
  };
}

/** Waits for `work`, or until the signal is aborted. */
async function untilAborted(signal: AbortSignal, work: Promise<void> | undefined): Promise<void> {
  if (!work || signal.aborted) return;
  let stop = () => {};
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener('abort', stop, { once: true });
  });
  await Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', stop));
}

type Files = Pick<
  TrainingRequest,
  'trainingFile' | 'validationFile' | 'trainingFiles' | 'validationFiles' | 'initialAdapter'
>;

/** The files in the data folder that a confined child reads. */
function readsOf({
  trainingFile,
  validationFile,
  trainingFiles,
  validationFiles,
  initialAdapter,
}: Files): string[] {
  const several = [...(trainingFiles ?? []), ...(validationFiles ?? [])].map(({ path }) => path);
  const all = [trainingFile, validationFile, ...several, initialAdapter];
  // A file may be listed twice.
  return [...new Set(all.filter((path) => path !== null))];
}

function readFrom(
  { trainingFile, validationFile, trainingFiles, validationFiles, initialAdapter }: Files,
  place: (path: string) => string,
): Files {
  return {
    trainingFile: place(trainingFile),
    validationFile: validationFile && place(validationFile),
    trainingFiles: trainingFiles?.map((file) => ({ ...file, path: place(file.path) })) ?? null,
    validationFiles: validationFiles?.map((file) => ({ ...file, path: place(file.path) })) ?? null,
    initialAdapter: initialAdapter && place(initialAdapter),
  };
}
