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

/** Text completed by one more token, and the token counts up to it. */
export interface GeneratedText {
  text: string;
  /** −1 for text that was held back until the end. */
  tokenId: number;
  /** Set if requested; absent for text that was held back. */
  likely?: LikelyTokens;
  promptTokens: number;
  /** Number of prompt tokens that were cached by an earlier request. */
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
  /** Name of the adapter in errors; null for the plain base model. */
  adapterName: string | null;
  /** Maximum number of tokens. */
  limit: number;
  /** Number of the most probable tokens to report for each token; null for none, not even its own log-probability. */
  logprobs: number | null;
  random: Random;
  stops: StopMatcher;
  ends: ReadonlySet<number>;
  tokenizer: Tokenizer;
}

/** A request in progress: its tokens, its part of the cache, and the text generated so far. */
export class Sequence implements Owned {
  readonly team: string;
  readonly weight: number;
  readonly served: ServedModel;
  /** A prefix's positions, which have no ids, as −1; virtual tokens; the prompt (for an encoder-decoder, the start token); the answer. */
  readonly ids: number[];
  /** Input of the encoder. */
  readonly input: readonly number[] | null;
  /** Number of positions before the prompt. */
  readonly leading: number;
  /** Number of positions in the cache. */
  computed = 0;
  blocks: number[] = [];
  encoded: EncodedInput | null = null;
  /** Link of the first block that is not yet recorded in the pool; `recorded`: its index. */
  link = '';
  recorded = 0;
  readonly #promptTokens: number;
  readonly #options: AnswerOptions;
  readonly #decoder: StreamDecoder;
  readonly #said: GeneratedText[] = [];
  #cachedTokens = 0;
  #answered = 0;
  /** The random number for the next token, once it was requested. */
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

  /** Whether the answer has no token yet. */
  get isNew(): boolean {
    return this.#answered === 0;
  }

  /** Records that `positions` were cached when the sequence first started. */
  foundKnown(positions: number): void {
    if (this.isNew) this.#cachedTokens = Math.max(0, positions - this.leading);
  }

  /** Chooses the next token from logits `(V)`. Any error fails only this sequence. */
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

  /** How the graph must choose the next token; unchanged until `take` is called. */
  ask(): TokenAsk {
    const { temperature, topP, topK, minP, repetitionPenalty, logprobs, random } = this.#options;
    this.#uniform ??= random.uniform();
    const sampling = { temperature, topP, topK, minP, repetitionPenalty };
    return { ...sampling, uniform: this.#uniform, ids: this.ids, logprobs };
  }

  /** Takes a token that the graph chose. */
  take({ token, likely }: Chosen): void {
    this.#attempt(() => {
      this.#uniform = null;
      if (token === null) throw new GraftError('non_finite_logits', 'the logits are not finite');
      const describeToken = ({ id, logprob }: { id: number; logprob: number }) => ({
        token: this.#options.tokenizer.decode([id]),
        logprob,
      });
      this.#answer(
        token,
        () =>
          likely && {
            ...describeToken({ id: token, logprob: likely.logprob }),
            top: likely.top.map(describeToken),
          },
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

  /** Yields the text as it is generated. Throws the reason if the sequence fails. */
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

  /** Ends the answer after emitting the text that was held back. */
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
