import { GraftError } from '../errors.ts';
import type { Random } from '../random.ts';
import type { StreamDecoder, Tokenizer } from '../text/index.ts';
import type { Chosen, TokenAsk } from './card/graph-sampler.ts';
import type { Owned } from './fair-rows.ts';
import { type LikelyTokens, likelyTokens } from './sampling/likely-tokens.ts';
import { penalised, type SamplingOptions, sampleToken } from './sampling/sampling.ts';
import type { ServedModel } from './served-models.ts';
import type { EncodedInput } from './step.ts';
import type { StopMatcher } from './stop-matcher.ts';

/** What one more token has made sure of the text, and the tokens as far as it. */
export interface GeneratedText {
  text: string;
  /** −1 for text that was held back until the end. */
  tokenId: number;
  /** Where the request asks for it; absent for text that was held back. */
  likely?: LikelyTokens;
  promptTokens: number;
  /** Those of the prompt that were known from an earlier request. */
  cachedTokens: number;
  completionTokens: number;
}

export interface GenerateResult {
  finishReason: 'stop' | 'length';
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/** How an answer's tokens are chosen and where it ends. */
export interface AnswerOptions extends Required<SamplingOptions> {
  /** How errors name the adapter; null for the plain base model. */
  adapterName: string | null;
  /** Tokens at most. */
  limit: number;
  /** Of the most probable tokens that are told of each; null for none, not even its own probability. */
  logprobs: number | null;
  random: Random;
  stops: StopMatcher;
  ends: ReadonlySet<number>;
  tokenizer: Tokenizer;
}

/** One request while it is answered: its tokens, what of them is in the cache, and what was said. */
export class Sequence implements Owned {
  readonly team: string;
  readonly weight: number;
  readonly served: ServedModel;
  /** A prefix's positions, which have no ids, as −1; virtual tokens; the prompt (a decoder's first token); the answer. */
  readonly ids: number[];
  /** What an encoder reads. */
  readonly input: readonly number[] | null;
  /** Positions before the prompt. */
  readonly leading: number;
  /** Positions in the cache. */
  computed = 0;
  blocks: number[] = [];
  encoded: EncodedInput | null = null;
  /** Of the first block that is not known to the pool yet. */
  link = '';
  learnt = 0;
  readonly #promptTokens: number;
  readonly #options: AnswerOptions;
  readonly #decoder: StreamDecoder;
  readonly #said: GeneratedText[] = [];
  #cachedTokens = 0;
  #answered = 0;
  /** What the next token is drawn with, once it is asked for. */
  #uniform: number | null = null;
  #result: GenerateResult | null = null;
  #error: { reason: unknown } | null = null;
  #arrived = () => {};

  constructor(
    given: Pick<Sequence, 'team' | 'weight' | 'served' | 'ids' | 'input' | 'leading'> & {
      promptTokens: number;
    },
    options: AnswerOptions,
  ) {
    this.team = given.team;
    this.weight = given.weight;
    this.served = given.served;
    this.ids = given.ids;
    this.input = given.input;
    this.leading = given.leading;
    this.#promptTokens = given.promptTokens;
    this.#options = options;
    this.#decoder = options.tokenizer.streamDecoder();
  }

  get isOver(): boolean {
    return this.#result !== null || this.#error !== null;
  }

  /** The answer's first token is not there yet. */
  get isNew(): boolean {
    return this.#answered === 0;
  }

  /** `positions` of it were known when it was first begun. */
  foundKnown(positions: number): void {
    if (this.isNew) this.#cachedTokens = Math.max(0, positions - this.leading);
  }

  /** Chooses the next token, from logits `(V)`. Whatever fails, fails for this sequence alone. */
  answer(logits: Float32Array): void {
    this.#attempt(() => {
      const { logprobs, tokenizer, random, repetitionPenalty } = this.#options;
      const scores = penalised(logits, this.ids, repetitionPenalty);
      const token = sampleToken(scores, this.#options, random.uniform());
      this.#answer(token, () =>
        logprobs === null ? undefined : likelyTokens(logits, token, logprobs, tokenizer),
      );
    });
  }

  /** How a program chooses the next token; the same until it is taken. */
  ask(): TokenAsk {
    const { temperature, topP, topK, minP, repetitionPenalty, logprobs, random } = this.#options;
    this.#uniform ??= random.uniform();
    const sampling = { temperature, topP, topK, minP, repetitionPenalty };
    return { ...sampling, uniform: this.#uniform, ids: this.ids, logprobs };
  }

  /** Takes a token that a program chose. */
  take({ token, likely }: Chosen): void {
    this.#attempt(() => {
      this.#uniform = null;
      if (token === null) throw new GraftError('non_finite_logits', 'the logits are not finite');
      const told = ({ id, logprob }: { id: number; logprob: number }) => ({
        token: this.#options.tokenizer.decode([id]),
        logprob,
      });
      this.#answer(
        token,
        () => likely && { ...told({ id: token, logprob: likely.logprob }), top: likely.top.map(told) },
      );
    });
  }

  #attempt(answer: () => void): void {
    try {
      answer();
    } catch (error) {
      this.fail(this.#faultOf(error));
    }
  }

  #faultOf(error: unknown): unknown {
    if (!(error instanceof GraftError))
      return new GraftError('answer_failed', 'the answer could not be decoded', {
        fault: 'system',
        cause: error,
      });
    if (error.code !== 'non_finite_logits') return error;
    const { adapterName } = this.#options;
    const param = { param: 'model', cause: error };
    if (adapterName === null)
      return new GraftError(
        'non_finite_logits',
        `the base model's logits are not finite numbers (NaN or infinity) after ${this.ids.length} positions, so no token can be chosen; its weights are damaged or too large for float32`,
        param,
      );
    return new GraftError(
      'non_finite_logits',
      `the adapter ${adapterName} gives logits that are not finite numbers (NaN or infinity), so no token can be chosen: its weights are too large; choose another version or checkpoint, or train it again with a lower learning rate`,
      param,
    );
  }

  #answer(token: number, likelyOf: () => LikelyTokens | null | undefined): void {
    const { stops, ends, limit } = this.#options;
    if (ends.has(token)) {
      this.#end('stop', token);
      return;
    }
    this.#answered++;
    const text = stops.push(this.#decoder.push(token));
    const likely = likelyOf();
    if (text || !stops.matched) this.#say({ text, tokenId: token, ...(likely ? { likely } : {}) });
    if (stops.matched) this.#finish('stop');
    else if (this.#answered === limit) this.#end('length', -1);
    else this.ids.push(token);
  }

  fail(reason: unknown): void {
    this.#error ??= { reason };
    this.#arrived();
  }

  /** What is said, as it comes. Throws the reason that it failed for. */
  async *pieces(): AsyncGenerator<GeneratedText, GenerateResult> {
    for (;;) {
      const next = this.#said.shift();
      if (next) yield next;
      else if (this.#error) throw this.#error.reason;
      else if (this.#result) return this.#result;
      else
        await new Promise<void>((resolve) => {
          this.#arrived = resolve;
        });
    }
  }

  get #counts() {
    return {
      promptTokens: this.#promptTokens,
      cachedTokens: this.#cachedTokens,
      completionTokens: this.#answered,
    };
  }

  #say(piece: Pick<GeneratedText, 'text' | 'tokenId' | 'likely'>): void {
    this.#said.push({ ...piece, ...this.#counts });
    this.#arrived();
  }

  /** With what was held back. */
  #end(finishReason: GenerateResult['finishReason'], tokenId: number): void {
    const { stops } = this.#options;
    const text = stops.push(this.#decoder.end()) + stops.end();
    if (text) this.#say({ text, tokenId });
    this.#finish(finishReason);
  }

  #finish(finishReason: GenerateResult['finishReason']): void {
    this.#result = { finishReason, ...this.#counts };
    this.#arrived();
  }
}
