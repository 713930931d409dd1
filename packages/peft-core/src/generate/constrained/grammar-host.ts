import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';
import { SchemaFault } from '../../schema/answers/schema-fault.ts';
import { createThread, type Thread, ThreadTimeout } from '../../threads/thread.ts';
import type { Owned } from '../turns/fair-rows.ts';
import { type GrammarAnswer, type GrammarCall, IDLE, WORK } from './grammar-call.ts';

/** Time limit for starting the thread and loading its vocabulary. */
const LOAD_MILLISECONDS = 120_000;
/** Heap limit of a thread; the library has another limit. */
const HEAP_MB = 512;
/** Interval at which calls in progress are compared with their limit. */
const WATCH_MILLISECONDS = 50;
/** Time limit of a call relative to its limit of processor time, as other programs may have the processors. */
const PATIENCE = 20;

/** The parts of a tokenizer that a thread needs. */
export interface HostedVocabulary {
  /** A packed tokenizer. */
  json: Uint8Array;
  /** Rows of the embedding table. */
  size: number;
  marks: readonly string[];
}

interface Hosted {
  answer: HostedAnswer;
  listener: HostListener;
  tokens: number[];
  /** True where it starts again because of another answer; its owner has paid for the first time. */
  isAgain: boolean;
  starts: number;
}

export interface HostListener {
  /** A call has ended, after this processor time: a new mask may be there. */
  onMask(milliseconds: number): void;
  /** The grammar failed after these tokens; nothing follows. A ThreadTimeout: a call has exceeded its limit. */
  onFail(reason: unknown, tokens: readonly number[]): void;
}

/** An answer whose tokens a grammar restricts. */
export interface HostedAnswer {
  owner: Owned;
  format: ConstraintFormat;
  ends: readonly number[];
  /** `(⌈V / 32⌉)` bits: whether a token may be next. Valid while `version` is the number of accepted tokens plus one. */
  mask: Int32Array;
  version: Int32Array;
}

type GrammarThread = Thread<GrammarCall, GrammarAnswer>;

export interface HostOptions {
  /** Maximum processor time of compiling a grammar, or of starting an answer, which compiles it, too. */
  openMilliseconds: number;
  /** Maximum processor time of the mask of a further token. */
  maskMilliseconds: number;
  /** True where the thread has a lower priority, for work that no answer in progress waits for. */
  yields: boolean;
}

/**
 * A thread with grammars, on which teams take turns. If a call fails or exceeds its limit, the thread ends and the answer of the call fails;
 * the other answers continue on a new thread, from the tokens that they have.
 */
export class GrammarHost {
  readonly #vocabulary: HostedVocabulary;
  readonly #options: HostOptions;
  #thread: GrammarThread | null = null;
  #loaded: Promise<void> | null = null;
  /** The thread's work, in memory that it shares (`WORK`). */
  #work: Float64Array = idleWork();
  #watch: NodeJS.Timeout | undefined;
  /** Number of calls for answers that have not ended. */
  #pending = 0;
  readonly #answers = new Map<number, Hosted>();
  /** The answer that was finished during its call. */
  #left: (Hosted & { id: number }) | null = null;
  #ids = 0;
  #closed = false;

  constructor(vocabulary: HostedVocabulary, options: HostOptions) {
    this.#vocabulary = vocabulary;
    this.#options = options;
  }

  /**
   * Processor milliseconds that compiling a grammar takes. Rejects with ThreadTimeout, with SchemaFault, or with another error for a grammar
   * that cannot be used. Calls must not overlap.
   */
  async compile(format: ConstraintFormat): Promise<number> {
    const thread = await this.#open();
    const { openMilliseconds } = this.#options;
    const limits = { ms: PATIENCE * openMilliseconds, processorMs: openMilliseconds };
    const { milliseconds, fault } = await thread
      .call({ type: 'compile', format }, limits)
      .catch(async (error: unknown) => {
        await this.#end(thread);
        throw error;
      });
    if (fault !== null) throw new SchemaFault(fault);
    return milliseconds;
  }

  /** `tokens`: those that the answer has. */
  start(answer: HostedAnswer, listener: HostListener, tokens: readonly number[] = []): number {
    const id = this.#ids++;
    this.#answers.set(id, { answer, listener, tokens: [...tokens], isAgain: false, starts: 0 });
    void this.#begin(id);
    return id;
  }

  accept(id: number, token: number): void {
    const hosted = this.#answers.get(id);
    if (!hosted) return;
    hosted.tokens.push(token);
    const thread = this.#thread;
    const { version, owner } = hosted.answer;
    if (thread && version[0]! > 0) void this.#run(thread, id, { type: 'accept', answer: id, owner, token });
  }

  /** Ends the use by an answer; returns its tokens. */
  finish(id: number): readonly number[] {
    const hosted = this.#answers.get(id);
    if (!hosted) return [];
    this.#answers.delete(id);
    if (this.#work[WORK.answer] === id) this.#left = { ...hosted, id };
    this.#thread?.call({ type: 'close', answer: id }).catch(() => {});
    return hosted.tokens;
  }

  /** Starts the thread, unless it runs. */
  async prepare(): Promise<void> {
    await this.#open().catch(() => {});
  }

  /** Ends the thread, and frees its memory until the next call. */
  async rest(): Promise<void> {
    if (this.#thread) await this.#end(this.#thread);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.rest();
  }

  async #begin(id: number): Promise<void> {
    const hosted = this.#answers.get(id);
    if (!hosted) return;
    const start = ++hosted.starts;
    try {
      const thread = await this.#open();
      if (!this.#answers.has(id) || hosted.starts !== start) return;
      const { answer, tokens } = hosted;
      // One version for each mask that the answer has taken, less the one that is computed now.
      Atomics.store(answer.version, 0, tokens.length);
      await this.#run(thread, id, { type: 'open', answer: id, ...answer, tokens: [...tokens] });
    } catch (error) {
      this.#drop(id, error);
    }
  }

  /** Runs a call for an answer. If it is at fault, only this answer fails. */
  async #run(thread: GrammarThread, id: number, call: GrammarCall): Promise<void> {
    this.#pending++;
    this.#watch ??= setInterval(() => this.#compareWithLimit(), WATCH_MILLISECONDS);
    try {
      const { milliseconds } = await thread.call(call);
      const hosted = this.#answers.get(id);
      hosted?.listener.onMask(hosted.isAgain ? 0 : milliseconds);
      if (hosted) hosted.isAgain = false;
    } catch (error) {
      if (this.#thread !== thread) return;
      // If the thread as a whole has ended, all of its calls fail, and it names the one that it was working on.
      const atWork = this.#work[WORK.answer]!;
      await this.#restart(thread, atWork === IDLE ? id : atWork, error);
    } finally {
      if (--this.#pending === 0) {
        clearInterval(this.#watch);
        this.#watch = undefined;
      }
    }
  }

  /** Ends the thread if its call has exceeded the limit. */
  #compareWithLimit(): void {
    const thread = this.#thread;
    const [answer, start] = this.#work;
    if (!thread || answer === IDLE) return;
    const { openMilliseconds, maskMilliseconds } = this.#options;
    const limit = this.#work[WORK.opens] === 1 ? openMilliseconds : maskMilliseconds;
    const now = thread.processorTime() ?? Date.now();
    if (now - start! < limit || this.#work[WORK.answer] !== answer || this.#work[WORK.start] !== start)
      return;
    void this.#restart(thread, answer!, new ThreadTimeout());
  }

  async #restart(thread: GrammarThread, culprit: number, reason: unknown): Promise<void> {
    this.#thread = null;
    this.#loaded = null;
    // The next thread has other memory, in which nothing is at work.
    this.#work = idleWork();
    this.#drop(culprit, reason);
    // Answers that start from now on begin by themselves.
    const others = [...this.#answers];
    await thread.close();
    for (const [other, hosted] of others) {
      hosted.isAgain = true;
      void this.#begin(other);
    }
  }

  #drop(id: number, reason: unknown): void {
    const hosted = this.#answers.get(id) ?? (this.#left?.id === id ? this.#left : null);
    this.#answers.delete(id);
    hosted?.listener.onFail(reason, hosted.tokens);
  }

  async #open(): Promise<GrammarThread> {
    if (this.#closed) throw new Error('the generator was closed');
    if (!this.#thread) {
      const { yields } = this.#options;
      const module = new URL('grammar-thread.ts', import.meta.url);
      const thread = createThread<GrammarCall, GrammarAnswer>(module, HEAP_MB, { idleMs: null, yields });
      this.#thread = thread;
      this.#work = idleWork();
      this.#loaded = thread
        .call({ type: 'load', ...this.#vocabulary, work: this.#work }, { ms: LOAD_MILLISECONDS })
        .then(() => {});
    }
    const thread = this.#thread;
    try {
      await this.#loaded;
    } catch (error) {
      await this.#end(thread);
      throw error;
    }
    return thread;
  }

  async #end(thread: GrammarThread): Promise<void> {
    if (this.#thread === thread) {
      this.#thread = null;
      this.#loaded = null;
    }
    await thread.close();
  }
}

function idleWork(): Float64Array {
  return new Float64Array(new SharedArrayBuffer(8 * WORK.length)).fill(IDLE);
}
