import { createHash } from 'node:crypto';
import { GraftError } from '../../errors.ts';
import { loadTokenizer, type Tokenizer, type TokenizerFiles } from '../../text/index.ts';
import { createThread, type Thread, ThreadTimeout } from '../../threads/thread.ts';
import type { Owned } from '../turns/fair-rows.ts';
import { RecentSums } from '../turns/recent-sums.ts';
import { TurnQueue } from '../turns/turn-queue.ts';
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
/** Limit of processor time for a prompt with its own template. Those in use take a few milliseconds. */
const OWN_MILLISECONDS = 1_000;
/** Time limit relative to a limit of processor time, as other programs may have the processors. */
const PATIENCE = 20;
/** Number of times that a prompt is read whose own template exceeds the limit. */
const ATTEMPTS = 2;
/** Time for which a template that exceeded it each time is refused. */
const REFUSED_MILLISECONDS = 300_000;
/** Time limit for starting a thread and loading its tokenizer. */
const LOAD_MILLISECONDS = 120_000;
/** Heap limit of a thread. Tokenizers with 250,000 tokens take about 300 MB. */
const HEAP_MB = 1024;
/** The thread for own templates, which few models have, ends if it is unused for this time. */
const IDLE_MILLISECONDS = 60_000;

export interface ReadLimits {
  readMilliseconds: number;
  ownMilliseconds: number;
  /** Clock by which teams are charged. */
  now(): number;
}

/**
 * Tokenises the prompts of one base model: short ones immediately, longer ones in a thread, and those with their own template in another. Each
 * thread reads one at a time, with teams taking turns by weight and the time that they use. So no prompt delays answers in progress, a
 * team's long prompts delay another team's by at most one prompt, and a costly template delays only prompts with own templates. The caller
 * limits how many prompts wait: the generator's process admits a few per row of a step.
 */
export class PromptReader {
  readonly tokenizer: Tokenizer;
  readonly #rules: PromptRules;
  readonly #base: ReadingThread;
  readonly #own: ReadingThread;
  /** Templates that exceeded the limit of time lately, by their digest. */
  readonly #refused = new RecentSums(REFUSED_MILLISECONDS);
  readonly #ownMilliseconds: number;

  constructor(
    files: TokenizerFiles,
    vocabularySize: number,
    {
      readMilliseconds = READ_MILLISECONDS,
      ownMilliseconds = OWN_MILLISECONDS,
      now = () => performance.now(),
    }: Partial<ReadLimits> = {},
  ) {
    this.tokenizer = loadTokenizer(files);
    this.#rules = { tokenizer: this.tokenizer, fewestTokens: fewestTokensBy(files), vocabularySize };
    this.#ownMilliseconds = ownMilliseconds;
    const load = { files, vocabularySize };
    this.#base = new ReadingThread(load, { ms: readMilliseconds }, null, now);
    const own = { ms: PATIENCE * ownMilliseconds, processorMs: ownMilliseconds };
    this.#own = new ReadingThread(load, own, IDLE_MILLISECONDS, now);
  }

  /** Number of prompts with their own template that the thread was given. */
  get ownReads(): number {
    return this.#own.reads;
  }

  /**
   * The tokens of a prompt, or its rejection: `prompt_not_tokenized` if that takes too much time or memory, which counts as the maximum
   * number of prompt tokens. Throws the errors of the chat template, `adapter_template_failed` for an own one that exceeds its limits,
   * `answer_failed`, and the reason of `signal`.
   */
  async read(
    prompt: Prompt,
    limits: PromptLimits,
    owner: Owned,
    signal?: AbortSignal,
  ): Promise<PromptTokens> {
    const template = ownTemplate(prompt);
    const isShort = unitsOf(prompt) <= SHORT && template === null;
    if (isShort || this.#isTooLong(prompt, limits)) return this.#readHere(prompt, limits);
    if (template !== null) return await this.#readOwn(template, prompt, limits, owner, signal);
    const read = await this.#base.read({ prompt, limits }, owner, signal);
    return 'late' in read ? notTokenised(read.late, limits) : read;
  }

  /** Prompts that are waiting or being tokenised fail. */
  async close(): Promise<void> {
    await this.#base.close();
    await this.#own.close();
  }

  async #readOwn(
    template: string,
    prompt: Prompt,
    limits: PromptLimits,
    owner: Owned,
    signal?: AbortSignal,
  ): Promise<PromptTokens> {
    const key = createHash('sha256').update(template).digest('base64');
    for (let attempt = 0; attempt < ATTEMPTS && this.#refused.of(key) === 0; attempt++) {
      const read = await this.#own.read({ prompt, limits }, owner, signal).catch(throwAsOwn);
      if (!('late' in read)) return read;
    }
    if (this.#refused.of(key) === 0) this.#refused.add(key);
    const what = `takes more than ${this.#ownMilliseconds / 1000} s of processor time, or more than ${HEAP_MB} MiB of memory, for a prompt`;
    throw templateFailed(`${what}; prompts for it are refused for ${REFUSED_MILLISECONDS / 60_000} minutes`);
  }

  #readHere(prompt: Prompt, limits: PromptLimits): PromptTokens {
    try {
      return promptTokens(prompt, limits, this.#rules);
    } catch (error) {
      throw error instanceof GraftError ? error : failed(error);
    }
  }

  /** Checks whether the prompt is rejected for its length alone, which only requires counting its bytes. */
  #isTooLong(prompt: Prompt, limits: PromptLimits): boolean {
    return 'prompt' in prompt && this.#rules.fewestTokens(prompt.prompt) > maxPromptTokens(limits);
  }
}

/** A prompt that could not be read within this limit. */
interface Late {
  late: string;
}

type LoadCall = Extract<PromptCall, { files: unknown }>;

/** A thread that tokenises prompts, one at a time. */
class ReadingThread {
  reads = 0;
  readonly #thread: Thread<PromptCall, PromptAnswer>;
  readonly #load: LoadCall;
  readonly #limits: { ms: number; processorMs?: number };
  readonly #turns: TurnQueue;
  #isLoaded = false;
  #closed = false;

  constructor(
    load: LoadCall,
    limits: { ms: number; processorMs?: number },
    idleMs: number | null,
    now: () => number,
  ) {
    this.#load = load;
    this.#limits = limits;
    this.#turns = new TurnQueue(now);
    this.#thread = createThread(new URL('prompt-thread.ts', import.meta.url), HEAP_MB, { idleMs });
  }

  async read(
    { prompt, limits }: { prompt: Prompt; limits: PromptLimits },
    owner: Owned,
    signal?: AbortSignal,
  ): Promise<PromptTokens | Late> {
    const call = { prompt, limits, team: owner.team };
    return await this.#turns.run(owner, async () => await this.#answer(call), signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#turns.close(closed());
    await this.#thread.close();
  }

  async #answer(call: PromptCall): Promise<PromptTokens | Late> {
    this.reads++;
    let answer = this.#isLoaded ? await this.#call(call) : { ready: false };
    if ('ready' in answer) {
      await this.#call(this.#load, { ms: LOAD_MILLISECONDS });
      this.#isLoaded = true;
      answer = await this.#call(call);
    }
    if ('fault' in answer) {
      const { code, message, fault, param } = answer.fault;
      throw new GraftError(code, message, { fault, param });
    }
    if ('ready' in answer) throw failed(new Error('the thread lost its tokenizer'));
    return answer;
  }

  async #call(call: PromptCall, limits = this.#limits): Promise<PromptAnswer | Late> {
    // A call would restart the thread, and nothing would end it.
    if (this.#closed) throw closed();
    try {
      return await this.#thread.call(call, limits);
    } catch (cause) {
      if (this.#closed) throw closed();
      const isLate = cause instanceof ThreadTimeout;
      const isFull = (cause as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
      this.#isLoaded = false;
      if ((!isLate && !isFull) || call === this.#load) throw failed(cause);
      return { late: isLate ? `longer than ${limits.ms / 1000} s` : `more memory than ${HEAP_MB} MiB` };
    }
  }
}

function notTokenised(limit: string, limits: PromptLimits): PromptTokens {
  const message = `tokenising the prompt takes ${limit}; send a shorter one, or one with spaces or line ends between its words`;
  return { refusal: { code: 'prompt_not_tokenized', message }, tokens: maxPromptTokens(limits) };
}

/** An adapter's own template, which needs a separate tokenizer, which only a thread loads. */
const ownTemplate = (prompt: Prompt): string | null => ('messages' in prompt && prompt.chatTemplate) || null;

/** A fault of the adapter's own template is not one of the base model's files, which the operator would have to repair. */
function throwAsOwn(error: unknown): never {
  if (!(error instanceof GraftError) || error.code !== 'invalid_chat_template') throw error;
  throw templateFailed(error.message.replace(/^the chat template /, ''));
}

function templateFailed(what: string): GraftError {
  const message = `the adapter's own chat template ${what}; use another version, or train it with a simpler template`;
  return new GraftError('adapter_template_failed', message, { param: 'model' });
}

/** The error of one answer; the engine is unaffected. */
const failed = (cause: unknown) =>
  new GraftError('answer_failed', 'the prompt could not be tokenised', { fault: 'system', cause });
const closed = () => new Error('the generator was closed');
