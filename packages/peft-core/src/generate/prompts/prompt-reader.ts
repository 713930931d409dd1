import { GraftError } from '../../errors.ts';
import { loadTokenizer, type Tokenizer, type TokenizerFiles } from '../../text/index.ts';
import { createThread, type Thread, ThreadTimeout } from '../../threads/thread.ts';
import { FairRows, type Owned } from '../turns/fair-rows.ts';
import { fewestTokensBy } from './fewest-tokens.ts';
import type { PromptAnswer, PromptCall } from './prompt-thread.ts';
import {
  maxPromptTokens,
  type Prompt,
  type PromptLimits,
  type PromptRules,
  type PromptTokens,
  promptTokens,
  unitsOf,
} from './prompt-tokens.ts';

/**
 * Maximum UTF-16 units of a prompt that is tokenised between two steps, in a millisecond or two. A thread's reply would arrive a whole
 * step later, since a step blocks the process.
 */
const SHORT = 4096;
/** Time limit for tokenising a prompt. A megabyte takes less than a second. */
const READ_MILLISECONDS = 10_000;
/** Time limit for starting the thread and loading its tokenizer. */
const LOAD_MILLISECONDS = 120_000;
/** Heap limit of the thread. Tokenizers with 250,000 tokens take about 300 MB. */
const HEAP_MB = 1024;

interface Waiting extends Owned {
  prompt: Prompt;
  limits: PromptLimits;
  resolve(tokens: PromptTokens): void;
  reject(reason: unknown): void;
}

/**
 * Tokenises the prompts of one base model: short ones immediately, longer ones and those with their own template in a thread, one at a time, with teams taking turns by
 * weight. So no prompt delays answers in progress, and a team's long prompts delay another team's by at most one prompt. The caller
 * limits how many prompts wait: the generator's process admits a few per row of a step.
 */
export class PromptReader {
  readonly tokenizer: Tokenizer;
  readonly #files: TokenizerFiles;
  readonly #rules: PromptRules;
  readonly #thread: Thread<PromptCall, PromptAnswer>;
  readonly #readMilliseconds: number;
  readonly #turns = new FairRows<Waiting>();
  readonly #waiting = new Set<Waiting>();
  #isReading = false;
  #isLoaded = false;
  #closed = false;

  constructor(files: TokenizerFiles, vocabularySize: number, { readMilliseconds = READ_MILLISECONDS } = {}) {
    this.#files = files;
    this.tokenizer = loadTokenizer(files);
    this.#rules = { tokenizer: this.tokenizer, fewestTokens: fewestTokensBy(files), vocabularySize };
    this.#readMilliseconds = readMilliseconds;
    this.#thread = createThread(new URL('prompt-thread.ts', import.meta.url), HEAP_MB, { idleMs: null });
  }

  /**
   * The tokens of a prompt, or its rejection: `prompt_not_tokenized` if that takes too much time or memory, which counts as the maximum
   * number of prompt tokens. Throws the errors of the chat template, `answer_failed`, and the reason of `signal`.
   */
  async read(
    prompt: Prompt,
    limits: PromptLimits,
    owner: Owned,
    signal?: AbortSignal,
  ): Promise<PromptTokens> {
    const isShort = unitsOf(prompt) <= SHORT && !hasOwnTemplate(prompt);
    if (isShort || this.#isTooLong(prompt, limits)) return this.#readHere(prompt, limits);
    if (this.#closed) throw closed();
    signal?.throwIfAborted();
    let onAbort = () => {};
    try {
      return await new Promise<PromptTokens>((resolve, reject) => {
        const waiting = { team: owner.team, weight: owner.weight, prompt, limits, resolve, reject };
        onAbort = () => {
          this.#waiting.delete(waiting);
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        this.#waiting.add(waiting);
        if (!this.#isReading) void this.#readAll();
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Prompts that are waiting or being tokenised fail. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#waiting) reject(closed());
    this.#waiting.clear();
    await this.#thread.close();
  }

  async #readAll(): Promise<void> {
    this.#isReading = true;
    let last: string | null = null;
    for (;;) {
      // Of teams with equal use, one other than the last is next.
      const isNext = ({ team }: Owned) => team !== last;
      const all = [...this.#waiting];
      const inTurn = [...all.filter(isNext), ...all.filter((one) => !isNext(one))];
      const [next] = this.#turns.pick(inTurn, 1);
      if (!next) break;
      last = next.team;
      this.#waiting.delete(next);
      try {
        next.resolve(await this.#readInThread(next));
      } catch (error) {
        next.reject(error);
      }
    }
    this.#isReading = false;
  }

  async #readInThread({ prompt, limits, team }: Waiting): Promise<PromptTokens> {
    let answer = this.#isLoaded ? await this.#call({ prompt, limits, team }) : { ready: false };
    if ('ready' in answer) {
      await this.#load();
      answer = await this.#call({ prompt, limits, team });
    }
    if ('fault' in answer) {
      const { code, message, fault, param } = answer.fault;
      throw new GraftError(code, message, { fault, param });
    }
    if ('ready' in answer) throw failed(new Error('the thread lost its tokenizer'));
    return answer;
  }

  #readHere(prompt: Prompt, limits: PromptLimits): PromptTokens {
    try {
      return promptTokens(prompt, limits, this.#rules);
    } catch (error) {
      throw error instanceof GraftError ? error : failed(error);
    }
  }

  /** Whether the prompt is rejected for its length alone, which only requires counting its bytes. */
  #isTooLong(prompt: Prompt, limits: PromptLimits): boolean {
    return 'prompt' in prompt && this.#rules.fewestTokens(prompt.prompt) > maxPromptTokens(limits);
  }

  async #load(): Promise<void> {
    try {
      const files = { files: this.#files, vocabularySize: this.#rules.vocabularySize };
      await this.#thread.call(files, { ms: LOAD_MILLISECONDS });
      this.#isLoaded = true;
    } catch (cause) {
      throw this.#closed ? closed() : failed(cause);
    }
  }

  async #call(call: PromptCall & { limits: PromptLimits }): Promise<PromptAnswer> {
    const milliseconds = this.#readMilliseconds;
    // A call would restart the thread, and nothing would end it.
    if (this.#closed) throw closed();
    try {
      return await this.#thread.call(call, { ms: milliseconds });
    } catch (cause) {
      if (this.#closed) throw closed();
      const isLate = cause instanceof ThreadTimeout;
      const isFull = (cause as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
      if (!isLate && !isFull) throw failed(cause);
      this.#isLoaded = false;
      const limit = isLate ? `longer than ${milliseconds / 1000} s` : `more memory than ${HEAP_MB} MiB`;
      const message = `tokenising the prompt takes ${limit}; send a shorter one, or one with spaces or line ends between its words`;
      return {
        refusal: { code: 'prompt_not_tokenized', message },
        tokens: maxPromptTokens(call.limits),
      };
    }
  }
}

/** An adapter's own template needs a separate tokenizer, which only the thread loads. */
const hasOwnTemplate = (prompt: Prompt): boolean => 'messages' in prompt && Boolean(prompt.chatTemplate);

/** The error of one answer; the engine is unaffected. */
const failed = (cause: unknown) =>
  new GraftError('answer_failed', 'the prompt could not be tokenised', { fault: 'system', cause });
const closed = () => new Error('the generator was closed');
