import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';
import { createThread, type Thread } from '../../threads/thread.ts';
import type { GrammarAnswer, GrammarCall } from './grammar-thread.ts';

/** Time limit for starting the thread and loading its vocabulary. */
const LOAD_MILLISECONDS = 120_000;
/** Heap limit of a thread; the library has another limit. */
const HEAP_MB = 512;

/** What a thread needs of a tokenizer. */
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
}

/** Hears of an answer. */
export interface HostListener {
  /** A new mask may be there. */
  onMask(): void;
  /** The grammar failed; nothing follows. */
  onFail(reason: unknown): void;
}

/** An answer whose tokens a grammar restricts. */
export interface HostedAnswer {
  format: ConstraintFormat;
  ends: readonly number[];
  /** `(⌈V / 32⌉)` bits: whether a token may be next. Valid while `version` is the number of accepted tokens plus one. */
  mask: Int32Array;
  version: Int32Array;
}

/**
 * A thread with grammars. If a call fails or takes too long, the thread ends; the other answers on it continue on a new one, from the tokens
 * that they have.
 */
export class GrammarHost {
  readonly #vocabulary: HostedVocabulary;
  readonly #milliseconds: number;
  readonly #yields: boolean;
  #thread: Thread<GrammarCall, GrammarAnswer> | null = null;
  #loaded: Promise<void> | null = null;
  readonly #answers = new Map<number, Hosted>();
  #ids = 0;
  #closed = false;

  /** `milliseconds`: time limit of a call. `yields`: whether the thread has a lower priority, for work that no answer in progress waits for. */
  constructor(vocabulary: HostedVocabulary, milliseconds: number, yields: boolean) {
    this.#vocabulary = vocabulary;
    this.#milliseconds = milliseconds;
    this.#yields = yields;
  }

  /** Milliseconds that compiling a grammar takes. Rejects with ThreadTimeout, or with another error for a grammar that cannot be used. */
  async compile(format: ConstraintFormat): Promise<number> {
    const thread = await this.#open();
    try {
      const { milliseconds } = await thread.call({ type: 'compile', format }, { ms: this.#milliseconds });
      return milliseconds;
    } catch (error) {
      await this.#end(thread);
      throw error;
    }
  }

  start(answer: HostedAnswer, listener: HostListener): number {
    const id = this.#ids++;
    this.#answers.set(id, { answer, listener, tokens: [] });
    void this.#begin(id);
    return id;
  }

  accept(id: number, token: number): void {
    const hosted = this.#answers.get(id);
    if (!hosted) return;
    hosted.tokens.push(token);
    const thread = this.#thread;
    if (thread && hosted.answer.version[0]! > 0)
      void this.#run(thread, id, { type: 'accept', answer: id, token });
  }

  finish(id: number): void {
    if (!this.#answers.delete(id)) return;
    if (this.#thread) this.#thread.call({ type: 'close', answer: id }).catch(() => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#thread) await this.#end(this.#thread);
  }

  async #begin(id: number): Promise<void> {
    const hosted = this.#answers.get(id);
    if (!hosted) return;
    try {
      const thread = await this.#open();
      const { answer, tokens } = hosted;
      // One version for each mask that the answer has taken, less the one that is computed now.
      Atomics.store(answer.version, 0, tokens.length);
      await this.#run(thread, id, { type: 'open', answer: id, ...answer, tokens: [...tokens] });
    } catch (error) {
      this.#drop(id, error);
    }
  }

  /** Runs a call for an answer. If it is at fault, only this answer fails. */
  async #run(thread: Thread<GrammarCall, GrammarAnswer>, id: number, call: GrammarCall): Promise<void> {
    try {
      await thread.call(call, { ms: this.#milliseconds });
      this.#answers.get(id)?.listener.onMask();
    } catch (error) {
      // Of all calls that end with a thread, the first is at fault: calls are answered in order.
      if (this.#thread !== thread) return;
      this.#drop(id, error);
      await this.#end(thread);
      for (const other of this.#answers.keys()) void this.#begin(other);
    }
  }

  #drop(id: number, reason: unknown): void {
    const hosted = this.#answers.get(id);
    this.#answers.delete(id);
    hosted?.listener.onFail(reason);
  }

  async #open(): Promise<Thread<GrammarCall, GrammarAnswer>> {
    if (this.#closed) throw new Error('the generator was closed');
    if (!this.#thread) {
      const thread = createThread<GrammarCall, GrammarAnswer>(
        new URL('grammar-thread.ts', import.meta.url),
        HEAP_MB,
        {
          idleMs: null,
          yields: this.#yields,
        },
      );
      this.#thread = thread;
      this.#loaded = thread
        .call({ type: 'load', ...this.#vocabulary }, { ms: LOAD_MILLISECONDS })
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

  async #end(thread: Thread<GrammarCall, GrammarAnswer>): Promise<void> {
    if (this.#thread === thread) {
      this.#thread = null;
      this.#loaded = null;
    }
    await thread.close();
  }
}
