import { createHash } from 'node:crypto';
import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';
import { GraftError } from '../../errors.ts';
import { SchemaFault } from '../../schema/answers/schema-fault.ts';
import type { TokenizerFiles } from '../../text/index.ts';
import { packTokenizer } from '../../text/packed-tokenizer.ts';
import { ThreadTimeout } from '../../threads/thread.ts';
import type { Owned } from '../turns/fair-rows.ts';
import { RecentSums } from '../turns/recent-sums.ts';
import { TurnQueue } from '../turns/turn-queue.ts';
import { GrammarHost } from './grammar-host.ts';

/** Limits of processor time, in milliseconds: the work of others on the machine does not count. */
export interface ConstraintLimits {
  /** Limit of compiling a grammar beside others. Those of a few properties take 20 to 500. */
  compileShort: number;
  /** Limit of compiling a grammar at all. */
  compileLong: number;
  /** A grammar that took longer, or a mask, puts the answer on the thread for slow ones. */
  quickCompile: number;
  quickMask: number;
  /** Limit of compiling a team's grammars on the quick thread within `BURST_MILLISECONDS`; further ones are put on the thread for slow ones. */
  quickTeam: number;
  /** Limits of the first mask with compiling, and of each further one: on the quick thread, and on the slow one. */
  quick: { openMilliseconds: number; maskMilliseconds: number };
  slow: { openMilliseconds: number; maskMilliseconds: number };
  /** Limit of all masks of an answer. */
  answer: number;
}

const defaults: ConstraintLimits = {
  compileShort: 1_000,
  compileLong: 10_000,
  quickCompile: 300,
  quickMask: 50,
  quickTeam: 1_000,
  quick: { openMilliseconds: 1_000, maskMilliseconds: 500 },
  slow: { openMilliseconds: 12_000, maskMilliseconds: 2_000 },
  answer: 30_000,
};

/** Time for which `quickTeam` counts, and for which a grammar whose call exceeded its limit is refused. */
const BURST_MILLISECONDS = 10_000;
const REFUSED_MILLISECONDS = 300_000;
/** Number of calls that exceed their limit after which a team's slow grammars are refused, too. */
const MAX_BREACHES = 3;
const MAX_KNOWN = 256;

interface Grammar {
  key: string;
  format: ConstraintFormat;
  param: string;
  owner: Owned;
}

export interface ConstraintRequest {
  format: ConstraintFormat;
  param: string;
  /** Tokens that may end the answer once it is complete. */
  ends: ReadonlySet<number>;
}

type Host = 'short' | 'long' | 'quick' | 'slow';

/**
 * Restricts answers of one model to grammars. A grammar is compiled in a thread first, one at a time; only one that compiles in time
 * reaches the threads that compute masks: the quick one or, if the grammar or one of its masks took long, the slow one. Teams take turns on
 * each, by the time that they use. An answer that exceeds its limits fails. If one of its calls did, its grammar is then refused to the team for
 * a while, because ending the call makes the other answers of the thread start again.
 */
export class AnswerConstraints {
  readonly #files: TokenizerFiles;
  readonly #size: number;
  readonly #marks: readonly string[];
  readonly #limits: ConstraintLimits;
  #hosts: Record<Host, GrammarHost> | null = null;
  /** The thread of each known grammar; the oldest first. */
  readonly #known = new Map<string, 'quick' | 'slow'>();
  readonly #compiling = { short: new TurnQueue(), long: new TurnQueue() };
  /** Milliseconds of compiling on the quick thread by team, calls that exceeded a limit by team, and refused grammars by team and key. */
  readonly #used = new RecentSums(BURST_MILLISECONDS);
  readonly #breaches = new RecentSums(REFUSED_MILLISECONDS);
  readonly #refused = new RecentSums(REFUSED_MILLISECONDS);
  /** Grammars that take too long to compile. */
  readonly #uncompiled = new RecentSums(REFUSED_MILLISECONDS);
  #closed = false;

  /** `size`: rows of the embedding table. `marks`: special tokens that answers may contain. */
  constructor(
    files: TokenizerFiles,
    size: number,
    marks: readonly string[],
    limits: Partial<ConstraintLimits> = {},
  ) {
    this.#files = files;
    this.#size = size;
    this.#marks = marks;
    this.#limits = { ...defaults, ...limits };
  }

  /**
   * Throws `invalid_schema` for a grammar that cannot be compiled or takes too long, `constraint_failed` for one that exceeded its limits
   * lately, and the reason of `signal`.
   */
  async start(
    { format, param, ends }: ConstraintRequest,
    { team, weight }: Owned,
    signal?: AbortSignal,
  ): Promise<AnswerConstraint> {
    const owner = { team, weight };
    const key = createHash('sha256').update(JSON.stringify(format)).digest('base64');
    const grammar = { key, format, param, owner };
    if (this.#refused.of(team + key) > 0) throw tooSlow(param, refusedLately);
    if (this.#uncompiled.of(key) > 0) throw this.#refusal(param, new ThreadTimeout());
    const known = this.#known.get(key) ?? (await this.#compiled(grammar, signal));
    this.#remember(key, known);
    const breaches = this.#breaches.of(team);
    if (known === 'slow' && breaches >= MAX_BREACHES) throw tooSlow(param, othersLately);
    const isQuick = known === 'quick' && breaches === 0 && this.#used.of(team) < this.#limits.quickTeam;
    const hosts = this.#open();
    return new AnswerConstraint(
      { grammar, ends: [...ends], size: this.#size, limits: this.#limits },
      hosts[isQuick ? 'quick' : 'slow'],
      {
        isSlow: !isQuick,
        slower: (isBreach) => {
          this.#remember(key, 'slow');
          if (isBreach) this.#breaches.add(team);
          return hosts.slow;
        },
        compiled: (milliseconds) => this.#used.add(team, milliseconds),
        endedThread: () => {
          this.#breaches.add(team);
          this.#refused.add(team + key);
        },
      },
    );
  }

  /** Answers in progress fail. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const queue of Object.values(this.#compiling)) queue.close(closed());
    for (const host of Object.values(this.#hosts ?? {})) await host.close();
  }

  #open(): Record<Host, GrammarHost> {
    if (this.#closed) throw closed();
    if (this.#hosts) return this.#hosts;
    const vocabulary = { json: packTokenizer(this.#files).json, size: this.#size, marks: this.#marks };
    const { compileShort, compileLong, quick, slow } = this.#limits;
    const compiling = (openMilliseconds: number) => ({ openMilliseconds, maskMilliseconds: 0, yields: true });
    this.#hosts = {
      short: new GrammarHost(vocabulary, compiling(compileShort)),
      long: new GrammarHost(vocabulary, compiling(compileLong)),
      quick: new GrammarHost(vocabulary, { ...quick, yields: false }),
      slow: new GrammarHost(vocabulary, { ...slow, yields: true }),
    };
    return this.#hosts;
  }

  /** The grammar's thread stays as slow as it was found to be. */
  #remember(key: string, host: 'quick' | 'slow'): void {
    this.#known.delete(key);
    this.#known.set(key, host);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN) this.#known.delete(oldest!);
  }

  /** Compiles it where that delays others shortly, or else where it takes long. */
  async #compiled({ key, format, param, owner }: Grammar, signal?: AbortSignal): Promise<'quick' | 'slow'> {
    const compile = async (name: 'short' | 'long') =>
      await this.#compiling[name].run(
        owner,
        async () => {
          const host = this.#open()[name];
          try {
            return await host.compile(format);
          } finally {
            // In the turn of the team whose grammar may have ended the thread. Few take long, and loading the vocabulary takes less.
            await (name === 'long' ? host.rest() : host.prepare());
          }
        },
        signal,
      );
    try {
      const milliseconds = await compile('short').catch((error: unknown) => {
        if (error instanceof ThreadTimeout) return compile('long');
        throw error;
      });
      return milliseconds > this.#limits.quickCompile ? 'slow' : 'quick';
    } catch (error) {
      if (this.#closed) throw closed();
      if (signal?.aborted) throw signal.reason;
      if (error instanceof ThreadTimeout) this.#uncompiled.add(key);
      throw this.#refusal(param, error);
    }
  }

  #refusal(param: string, cause: unknown): GraftError {
    const why =
      cause instanceof ThreadTimeout
        ? `takes more than ${this.#limits.compileLong / 1000} s of processor time to prepare; use fewer and smaller parts`
        : cause instanceof SchemaFault
          ? cause.message
          : 'cannot be prepared; use fewer and smaller parts';
    return new GraftError('invalid_schema', `the JSON schema ${why}`, { param, cause });
  }
}

/** Reports of an answer's use of its grammar, for those that start further answers. */
interface UseListener {
  /** True where the answer starts on the slow thread. */
  isSlow: boolean;
  /** It took long, or `isBreach`: its call exceeded the limit. Returns the thread on which it continues. */
  slower(isBreach: boolean): GrammarHost;
  /** It was compiled, too, in this time. */
  compiled(milliseconds: number): void;
  /** Its call made the slow thread end, or failed. */
  endedThread(): void;
}

export class AnswerConstraint {
  readonly #given: { grammar: Grammar; ends: readonly number[]; size: number; limits: ConstraintLimits };
  readonly #use: UseListener;
  #host: GrammarHost;
  #isSlow: boolean;
  #isClosed = false;
  #id = -1;
  #mask!: Int32Array;
  #version!: Int32Array;
  #accepted = 0;
  /** Processor time of all calls, in milliseconds. */
  #spent = 0;
  #calls = 0;
  #failure: unknown = null;
  #wake = () => {};

  constructor(
    given: { grammar: Grammar; ends: readonly number[]; size: number; limits: ConstraintLimits },
    host: GrammarHost,
    use: UseListener,
  ) {
    this.#given = given;
    this.#host = host;
    this.#use = use;
    this.#isSlow = use.isSlow;
    this.#start(host, []);
  }

  /**
   * Bits `(⌈V / 32⌉)` of the tokens that may be next; null if they are not known yet, also not after blocking this thread for
   * `milliseconds`. Throws `constraint_failed`.
   */
  mask(milliseconds = 0): Int32Array | null {
    if (this.#failure !== null) throw tooSlow(this.#given.grammar.param, '', this.#failure);
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
    this.#isClosed = true;
    this.#host.finish(this.#id);
    this.#wake();
  }

  /** Masks of an earlier start are written to other memory. */
  #start(host: GrammarHost, tokens: readonly number[]): void {
    const { grammar, ends, size } = this.#given;
    this.#host = host;
    this.#mask = new Int32Array(new SharedArrayBuffer(4 * Math.ceil(size / 32)));
    this.#version = new Int32Array(new SharedArrayBuffer(4));
    const { format, owner } = grammar;
    const answer = { owner, format, ends, mask: this.#mask, version: this.#version };
    this.#id = host.start(
      answer,
      {
        onMask: (milliseconds) => this.#charge(milliseconds),
        onFail: (reason, tokens) => this.#fail(reason, tokens),
      },
      tokens,
    );
  }

  #charge(milliseconds: number): void {
    const { limits } = this.#given;
    this.#spent += milliseconds;
    const isFirst = this.#calls++ === 0;
    if (this.#spent > limits.answer) {
      this.#host.finish(this.#id);
      this.#failure = new ThreadTimeout();
    } else if (isFirst && !this.#isSlow) this.#use.compiled(milliseconds);
    else if (milliseconds > limits.quickMask && !this.#isSlow)
      this.#moveOn(this.#host.finish(this.#id), false);
    this.#wake();
  }

  /** True where its masks are computed on the thread for slow answers. */
  get isSlow(): boolean {
    return this.#isSlow;
  }

  /** Continues on the slow thread. */
  #moveOn(tokens: readonly number[], isBreach: boolean): void {
    this.#isSlow = true;
    this.#start(this.#use.slower(isBreach), tokens);
  }

  #fail(reason: unknown, tokens: readonly number[]): void {
    const isLate = reason instanceof ThreadTimeout;
    if (isLate && !this.#isSlow && !this.#isClosed) this.#moveOn(tokens, true);
    else {
      this.#use.endedThread();
      this.#failure = reason;
    }
    this.#wake();
  }
}

const refusedLately = 'it exceeded its limit of processor time a few minutes ago';
const othersLately =
  'several schemas of your team exceeded their limits of processor time in the last minutes';

function tooSlow(param: string, why: string, cause?: unknown): GraftError {
  const reason = why === '' ? '' : ` (${why})`;
  return new GraftError(
    'constraint_failed',
    `the JSON schema takes too long to apply to answers${reason}; use a simpler one: patterns without repetitions of repetitions, fewer alternatives`,
    { param, cause },
  );
}

const closed = () => new Error('the generator was closed');
