import type { ServingLimits } from '@graft/peft-core';
import { isLastingModelFault } from '@graft/service/base-models';
import type { ChildFault } from '../processes/child-fault.ts';
import { placesOf } from '../processes/confinement.ts';
import {
  type Failed,
  ForkedProcess,
  type FromChild,
  type ProcessOptions,
} from '../processes/forked-process.ts';
import { AnswerEventCheck } from './answer-event-check.ts';
import { Arrivals, type Arrived } from './arrivals.ts';
import { FairOrder, type Share } from './fair-order.ts';
import {
  checkGenerator,
  type EventOf,
  type GeneratorMessages,
  type GeneratorRequest,
  type ScorerRequest,
} from './generator-protocol.ts';
import { ScoreEventCheck } from './score-event-check.ts';

/** Tokens read and generated before the failure. */
type FailedEvent = Failed & Pick<EventOf<'token'>, 'promptTokens' | 'completionTokens'>;
export type GeneratorEvent = EventOf<'token' | 'done'> | FailedEvent;
export type ScorerEvent = EventOf<'start' | 'scores' | 'scored'> | FailedEvent;

type Sent = Exclude<GeneratorMessages['call'], { type: 'cancel' }>;
interface Waiting {
  /** Names the base model and how it is loaded: to write text, or to read it. */
  load: string;
  baseModel: string;
  share: Share;
  /** Starts the request under this id. */
  wake(id: number): void;
  leave(reason: unknown): void;
}

/** A request that was sent to the child. */
interface Running {
  share: Share;
  check: Pick<AnswerEventCheck, 'refuse'>;
  put(event: Arrived): void;
}

/**
 * Number of requests that start with a base model, once it is loaded, before others that need another one; loading costs as many turns. Otherwise
 * two teams that use different models would have one loaded for each request, which takes up to minutes.
 */
const loadTurns = 16;
/** Minimum number of tokens charged for an answer. A prompt token that is not cached counts an eighth. */
const unitTokens = 32;

export interface GeneratorOptions extends ProcessOptions {
  /** Memory limits of the child; `rows` is also the maximum number of concurrent requests. */
  limits: Pick<ServingLimits, 'rows'> & Partial<ServingLimits>;
  /** Maximum length of the queue behind them, and how long a request may wait. */
  queueLimit: number;
  waitMilliseconds: number;
}

/** Thrown when too many requests wait: the client should try another worker, or later. */
export class GeneratorBusy extends Error {}

/**
 * The worker's side of the generator, a child process that answers up to `rows` requests at a time, all on one base model. Other
 * requests wait, and teams take turns. A team with fewer running requests than its share of the rows does not wait for other teams:
 * the child then has more requests than rows, and they take turns too.
 */
export class GeneratorProcess {
  readonly #options: GeneratorOptions;
  readonly #process: ForkedProcess<GeneratorMessages>;
  readonly #waiting = new FairOrder<Waiting>();
  readonly #running = new Map<number, Running>();
  #ids = 0;
  #closed = false;
  /** Number of trainings that use the whole card now. */
  #yielded = 0;
  #baseModel: string | null = null;
  /** How that is loaded: a request that needs it otherwise waits until all others are done. */
  #load: string | null = null;
  /** Number of requests that may still start with that before others that need another one. */
  #turnsLeft = 0;
  /** Set after an internal error in the child: the state of its engine is unknown, so nothing more is sent to it. */
  #unsound = false;
  #session: { send(message: GeneratorMessages['call']): void; end: AbortController } | null = null;

  constructor(options: GeneratorOptions) {
    this.#options = options;
    this.#process = new ForkedProcess('generator', { results: ['stopped'], check: checkGenerator }, options);
  }

  /** The process id of the running child; null where none runs. */
  get pid(): number | null {
    return this.#process.pid;
  }

  /** Number of running and waiting requests. */
  get load(): number {
    return this.#waiting.length + this.#running.size;
  }

  /** Catalogue ids of the base models in the generator's memory. */
  get bases(): string[] {
    return this.pid !== null && this.#baseModel !== null ? [this.#baseModel] : [];
  }

  /**
   * Answers one request. The last event is `done` or `failed`. Aborting `signal`, or returning early, cancels the request.
   * Throws `GeneratorBusy` when the queue is full, when the request waits too long, or when a team with fewer waiting requests takes
   * its place in a full queue.
   */
  async *generate(
    request: GeneratorRequest,
    signal: AbortSignal,
    share: Share = { team: '', weight: 1 },
  ): AsyncGenerator<GeneratorEvent, void> {
    let counts = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
    const id = await this.#turn({ load: `write ${request.baseModel}`, share }, request.baseModel, signal);
    const events = new Arrivals();
    const check = new AnswerEventCheck(request.options.max_tokens ?? null, () => events.length);
    try {
      this.#running.set(id, { share, check, put: (event) => events.put(event) });
      this.#send({ type: 'generate', id, request, ...share, limits: this.#options.limits });
      for (;;) {
        const event = (await events.next(signal)) as EventOf<'read' | 'token' | 'done'> | Failed;
        if (event.type === 'failed') {
          const { promptTokens, completionTokens } = counts;
          yield { ...event, promptTokens, completionTokens };
          return;
        }
        if (event.type === 'read') {
          counts = { ...counts, promptTokens: event.promptTokens };
          continue;
        }
        const { promptTokens, cachedTokens, completionTokens } = event;
        counts = { promptTokens, cachedTokens, completionTokens };
        yield event;
        if (event.type === 'done') return;
      }
    } finally {
      const { promptTokens, cachedTokens, completionTokens } = counts;
      this.#leave(id, share, completionTokens + (promptTokens - cachedTokens) / 8);
    }
  }

  /** Computes vectors or classes of texts. The last event is `scored` or `failed`; otherwise as `generate`. */
  async *score(
    request: ScorerRequest,
    signal: AbortSignal,
    share: Share = { team: '', weight: 1 },
  ): AsyncGenerator<ScorerEvent, void> {
    let promptTokens = 0;
    const id = await this.#turn({ load: `read ${request.baseModel}`, share }, request.baseModel, signal);
    const events = new Arrivals();
    const check = new ScoreEventCheck(request.inputs.length);
    try {
      this.#running.set(id, { share, check, put: (event) => events.put(event) });
      this.#send({ type: 'score', id, request, ...share, limits: this.#options.limits });
      for (;;) {
        const event = await events.next(signal);
        if (event.type === 'inputs') promptTokens = event.promptTokens;
        else if (event.type === 'failed') {
          yield { ...event, promptTokens, completionTokens: 0 };
          return;
        } else {
          if (event.type === 'start') promptTokens = event.promptTokens;
          yield event as Exclude<ScorerEvent, FailedEvent>;
          if (event.type === 'scored') return;
        }
      }
    } finally {
      this.#leave(id, share, promptTokens / 8);
    }
  }

  /** Ends a request, which used as much of the generator as `tokens` of an answer. */
  #leave(id: number, share: Share, tokens: number): void {
    this.#running.delete(id);
    this.#session?.send({ type: 'cancel', id });
    this.#waiting.charge(share, Math.max(0, tokens / unitTokens - 1));
    if (this.#running.size === 0) this.#session?.end.abort();
    this.#admit();
  }

  /**
   * Ends the idle child so that a training can use the whole card. Requests throw `GeneratorBusy` until the returned function is
   * called. Returns null where there are requests: the generator then keeps its memory.
   */
  async yieldCard(): Promise<(() => void) | null> {
    if (this.load > 0 || this.#closed) return null;
    this.#yielded += 1;
    await this.#process.close();
    let isOver = false;
    return () => {
      if (!isOver) this.#yielded -= 1;
      isOver = true;
    };
  }

  /** Ends the child; waiting requests throw `GeneratorBusy`. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#process.close();
    await this.#process.slot?.remove();
    // The woken requests find the generator closed.
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) next.wake(-1);
  }

  #send(message: Sent): void {
    if (this.#session) this.#session.send(message);
    else void this.#serve(message);
  }

  /** Runs one session with the child, from the first request until all are answered. */
  async #serve(first: Sent): Promise<void> {
    const end = new AbortController();
    const unsent: GeneratorMessages['call'][] = [];
    const session = {
      end,
      send(message: GeneratorMessages['call']): void {
        unsent.push(message);
      },
    };
    this.#session = session;
    let fault = lost;
    try {
      const events = this.#process.call({
        message: first,
        opened(send) {
          session.send = send;
          for (const message of unsent) send(message);
        },
        // fp32 everywhere, so that answers do not depend on the machine.
        precision: 'fp32',
        check: (message) => this.#refuse(message),
        ...(this.#process.slot ? { reads: placesOf(first.request.basePath) } : {}),
        stop: end.signal,
        stopMilliseconds,
      });
      for (;;) {
        const next = await events.next();
        if (next.done) {
          if (next.value.type === 'failed') fault = next.value.fault;
          break;
        }
        this.#deliver(next.value);
      }
      if (this.#unsound) await this.#process.close();
    } catch (error) {
      this.#options.log.error({ err: error }, 'the generator could not be called');
    } finally {
      this.#session = null;
      this.#unsound = false;
      for (const { put } of this.#running.values())
        put({ type: 'failed', fault: this.#closed ? closing : fault });
      this.#admit();
    }
  }

  /** Why a message of the child is invalid; null where it is valid. Messages for cancelled requests are ignored. */
  #refuse(message: FromChild<GeneratorMessages>): string | null {
    if (!('id' in message)) return null;
    if (message.id >= this.#ids) return 'an answer to no request';
    return this.#running.get(message.id)?.check.refuse(message) ?? null;
  }

  #deliver({ id, ...event }: GeneratorMessages['event']): void {
    if (event.type === 'refused' && canHarmEngine(event.fault)) this.#unsound = true;
    this.#running
      .get(id)
      ?.put(event.type === 'refused' ? { type: 'failed', fault: event.fault } : (event as Arrived));
  }

  async #turn(
    { load, share }: Pick<Waiting, 'load' | 'share'>,
    baseModel: string,
    signal: AbortSignal,
  ): Promise<number> {
    if (this.#closed) throw new GeneratorBusy('The generator is closing.');
    if (this.#yielded > 0) throw new GeneratorBusy('A training has the card.');
    signal.throwIfAborted();
    if (this.#waiting.length === 0 && this.#mayEnter({ load, share })) {
      this.#waiting.begin(share);
      return this.#enter({ load, baseModel, share });
    }
    if (this.#waiting.length >= this.#options.queueLimit) {
      const surplus = this.#waiting.surplusOver(share);
      if (!surplus) throw new GeneratorBusy('The queue is full.');
      surplus.item.leave(new GeneratorBusy('Another team has fewer requests in the queue.'));
    }
    const id = await new Promise<number>((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      const wake = (id: number) => {
        end();
        resolve(id);
      };
      const leave = (reason: unknown) => {
        end();
        this.#waiting.remove(share.team, waiting);
        reject(reason);
      };
      const waiting = { load, baseModel, share, wake, leave };
      const onAbort = () => leave(signal.reason);
      const late = () => leave(new GeneratorBusy('The request waited too long.'));
      const timer = setTimeout(late, this.#options.waitMilliseconds);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(share, waiting);
      this.#admit();
    });
    if (!this.#closed) return id;
    this.#running.delete(id);
    throw new GeneratorBusy('The generator is closing.');
  }

  /** Starts waiting requests in turn, as long as they may run: those for the loaded base model first while it has turns left. */
  #admit(): void {
    const usesLoaded = ({ load }: Waiting) => load === this.#load;
    for (;;) {
      const isFirst = this.#turnsLeft > 0 && this.#waiting.next(usesLoaded) !== undefined;
      const fits = isFirst ? usesLoaded : () => true;
      const next = this.#waiting.next(fits);
      if (!next || !this.#mayEnter(next)) return;
      this.#waiting.shift(fits);
      next.wake(this.#enter(next));
    }
  }

  #enter({ load, baseModel, share }: Pick<Waiting, 'load' | 'baseModel' | 'share'>): number {
    const id = this.#ids++;
    if (load === this.#load) this.#turnsLeft--;
    else {
      // Loading is paid by the team that needs it.
      if (this.#load !== null) this.#waiting.charge(share, loadTurns);
      this.#turnsLeft = loadTurns - 1;
    }
    this.#baseModel = baseModel;
    this.#load = load;
    this.#running.set(id, { share, check: new AnswerEventCheck(null, () => 0), put: () => {} });
    return id;
  }

  #mayEnter({ load, share }: Pick<Waiting, 'load' | 'share'>): boolean {
    if (this.#unsound || this.#session?.end.signal.aborted) return false;
    const running = [...this.#running.values()];
    if (running.length === 0) return true;
    if (load !== this.#load) return false;
    const { rows } = this.#options.limits;
    if (running.length < rows) return true;
    const weights = new Map([...running, { share }].map((each) => [each.share.team, each.share.weight]));
    const all = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
    const own = running.filter((each) => each.share.team === share.team).length;
    return own < Math.floor((rows * share.weight) / all);
  }
}

/** Faults of a user, of refused files, of answers that could not be decoded, and of adapters that must wait leave the engine intact. */
const canHarmEngine = ({ fault, code }: ChildFault): boolean =>
  fault !== 'user' &&
  code !== 'answer_failed' &&
  code !== 'adapter_shapes_full' &&
  !isLastingModelFault(code);

// A step blocks the child. After this time, starting another child is quicker than waiting.
const stopMilliseconds = 5000;
const lost: ChildFault = {
  code: 'generator_lost',
  message: 'The generator was lost; try again.',
  param: null,
  fault: 'system',
};
const closing: ChildFault = {
  code: 'generator_closing',
  message: 'This worker is stopping; try again.',
  param: null,
  fault: 'system',
};
