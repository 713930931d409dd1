import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';
import { GraftError } from '../../errors.ts';
import type { TokenizerFiles } from '../../text/index.ts';
import { packTokenizer } from '../../text/packed-tokenizer.ts';
import { ThreadTimeout } from '../../threads/thread.ts';
import { FairRows, type Owned } from '../turns/fair-rows.ts';
import { GrammarHost } from './grammar-host.ts';

/** Time limit for compiling a grammar. Those of a few properties take 0.1 to 0.5 s. */
const COMPILE_MILLISECONDS = 10_000;
/** Grammars that take longer have a separate thread, so that they do not delay masks of other answers. */
const SLOW_MILLISECONDS = 1_000;
/** Time limit for the masks of one token; as a thread compiles grammars, too, more than those take. */
const MASK_MILLISECONDS = 20_000;
/** Number of grammars that are known to compile. */
const MAX_KNOWN = 256;

interface Waiting extends Owned {
  format: ConstraintFormat;
  /** The request field that the grammar is from. */
  param: string;
  resolve(milliseconds: number): void;
  reject(reason: unknown): void;
}

export interface ConstraintRequest {
  format: ConstraintFormat;
  param: string;
  /** Tokens that may end the answer once it is complete. */
  ends: ReadonlySet<number>;
}

/**
 * Restricts answers of one model to grammars. A grammar is compiled in a thread first, one at a time, with teams taking turns; only one that
 * compiles in time reaches the threads that compute masks.
 */
export class AnswerConstraints {
  readonly #files: TokenizerFiles;
  readonly #size: number;
  readonly #marks: readonly string[];
  readonly #compileMilliseconds: number;
  #hosts: Record<'trial' | 'quick' | 'slow', GrammarHost> | null = null;
  /** Milliseconds by grammar; the oldest first. */
  readonly #known = new Map<string, number>();
  readonly #turns = new FairRows<Waiting>();
  readonly #waiting = new Set<Waiting>();
  #isCompiling = false;
  #closed = false;

  /** `size`: rows of the embedding table. `marks`: special tokens that answers may contain. */
  constructor(
    files: TokenizerFiles,
    size: number,
    marks: readonly string[],
    { compileMilliseconds = COMPILE_MILLISECONDS } = {},
  ) {
    this.#files = files;
    this.#size = size;
    this.#marks = marks;
    this.#compileMilliseconds = compileMilliseconds;
  }

  /** Throws `invalid_schema` for a grammar that cannot be compiled or takes too long, and the reason of `signal`. */
  async start(
    { format, param, ends }: ConstraintRequest,
    owner: Owned,
    signal?: AbortSignal,
  ): Promise<AnswerConstraint> {
    const key = JSON.stringify(format);
    let milliseconds = this.#known.get(key);
    this.#known.delete(key);
    milliseconds ??= await this.#compiled({ format, param }, owner, signal);
    this.#known.set(key, milliseconds);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN) break;
      this.#known.delete(oldest);
    }
    const host = milliseconds > SLOW_MILLISECONDS ? this.#open().slow : this.#open().quick;
    return new AnswerConstraint(host, { format, ends: [...ends] }, this.#size);
  }

  /** Answers in progress fail. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#waiting) reject(closed());
    this.#waiting.clear();
    for (const host of Object.values(this.#hosts ?? {})) await host.close();
  }

  #open() {
    if (this.#closed) throw closed();
    if (this.#hosts) return this.#hosts;
    const vocabulary = { json: packTokenizer(this.#files).json, size: this.#size, marks: this.#marks };
    this.#hosts = {
      trial: new GrammarHost(vocabulary, this.#compileMilliseconds, true),
      quick: new GrammarHost(vocabulary, MASK_MILLISECONDS, false),
      slow: new GrammarHost(vocabulary, MASK_MILLISECONDS, true),
    };
    return this.#hosts;
  }

  async #compiled(
    grammar: Pick<ConstraintRequest, 'format' | 'param'>,
    { team, weight }: Owned,
    signal?: AbortSignal,
  ): Promise<number> {
    signal?.throwIfAborted();
    let onAbort = () => {};
    try {
      return await new Promise<number>((resolve, reject) => {
        const waiting = { team, weight, format: grammar.format, param: grammar.param, resolve, reject };
        onAbort = () => {
          this.#waiting.delete(waiting);
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        this.#waiting.add(waiting);
        if (!this.#isCompiling) void this.#compileAll();
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #compileAll(): Promise<void> {
    this.#isCompiling = true;
    for (;;) {
      const [next] = this.#turns.pick([...this.#waiting], 1);
      if (!next) break;
      this.#waiting.delete(next);
      try {
        next.resolve(await this.#open().trial.compile(next.format));
      } catch (cause) {
        next.reject(this.#closed ? closed() : this.#refusal(next.param, cause));
      }
    }
    this.#isCompiling = false;
  }

  #refusal(param: string, cause: unknown): GraftError {
    const why =
      cause instanceof ThreadTimeout
        ? `takes longer than ${this.#compileMilliseconds / 1000} s to prepare; use fewer and smaller parts`
        : 'cannot be prepared: it is not a valid JSON schema, refers to definitions that do not exist, has a pattern that is no ' +
          'regular expression (look-around and back references are not supported), or is too large';
    return new GraftError('invalid_schema', `the JSON schema ${why}`, { param, cause });
  }
}

/** The tokens that an answer may have next. */
export class AnswerConstraint {
  readonly #host: GrammarHost;
  readonly #id: number;
  readonly #mask: Int32Array;
  readonly #version: Int32Array;
  /** Number of accepted tokens. */
  #accepted = 0;
  #failure: unknown = null;
  #wake = () => {};

  constructor(
    host: GrammarHost,
    { format, ends }: { format: ConstraintFormat; ends: readonly number[] },
    size: number,
  ) {
    this.#host = host;
    this.#mask = new Int32Array(new SharedArrayBuffer(4 * Math.ceil(size / 32)));
    this.#version = new Int32Array(new SharedArrayBuffer(4));
    const answer = { format, ends, mask: this.#mask, version: this.#version };
    this.#id = host.start(answer, {
      onMask: () => this.#wake(),
      onFail: (reason) => {
        this.#failure = reason;
        this.#wake();
      },
    });
  }

  /**
   * Bits `(⌈V / 32⌉)` of the tokens that may be next; null if they are not known yet, also not after blocking this thread for
   * `milliseconds`. Throws `constraint_failed`.
   */
  mask(milliseconds = 0): Int32Array | null {
    if (this.#failure !== null)
      throw new GraftError(
        'constraint_failed',
        'the JSON schema takes too long to apply to this answer; use a simpler one',
        {
          param: 'response_format',
          cause: this.#failure,
        },
      );
    const wanted = this.#accepted + 1;
    const version = Atomics.load(this.#version, 0);
    if (version !== wanted && milliseconds > 0) Atomics.wait(this.#version, 0, version, milliseconds);
    return Atomics.load(this.#version, 0) === wanted ? this.#mask : null;
  }

  accept(token: number): void {
    this.#accepted += 1;
    this.#host.accept(this.#id, token);
  }

  /** Resolves when the mask may be known, or the grammar has failed. */
  async ready(): Promise<void> {
    if (this.#failure !== null || this.mask() !== null) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  close(): void {
    this.#host.finish(this.#id);
    this.#wake();
  }
}

const closed = () => new Error('the generator was closed');
