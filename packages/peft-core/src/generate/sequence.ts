import type { AnswerPiece, AnswerReader } from '../chat/tool-styles/tool-style.ts';
import { GraftError } from '../errors.ts';
import type { Random } from '../random.ts';
import type { StreamDecoder, Tokenizer } from '../text/index.ts';
import type { Chosen, TokenAsk } from './card/graph-sampler.ts';
import type { AnswerConstraint } from './constrained/answer-constraints.ts';
import type { ReasoningPhase } from './constrained/reasoning-phase.ts';
import { adjusted, type LogitChanges } from './sampling/adjust-logits.ts';
import { type LikelyTokens, likelyTokens } from './sampling/likely-tokens.ts';
import { penalised, type SamplingOptions, sampleToken } from './sampling/sampling.ts';
import type { ServedModel } from './served-models.ts';
import type { SequenceState } from './states/recurrent-states.ts';
import type { EncodedInput } from './step.ts';
import type { StopMatcher } from './stop-matcher.ts';
import type { Owned } from './turns/fair-rows.ts';

/** Text completed by one more token, and the token counts up to it. */
export interface GeneratedText {
  /** Content: all text, unless reasoning and tool calls are separate. */
  text: string;
  reasoning?: string;
  calls?: CallPart[];
  /** −1 for text that was held back until the end. */
  tokenId: number;
  /** Set if requested; absent for text that was held back. */
  likely?: LikelyTokens;
  promptTokens: number;
  /** Number of prompt tokens that were cached by an earlier request. */
  cachedTokens: number;
  completionTokens: number;
}

/** A part of a tool call; `id` and `name` only in the first one of a call. */
export type CallPart = Extract<AnswerPiece, { call: unknown }>['call'];

export interface GenerateResult {
  finishReason: 'stop' | 'length' | 'tool_calls';
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

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
  changes: LogitChanges;
  /** Finds reasoning and tool calls; null if all of the answer is content. */
  reader: AnswerReader | null;
  /** Special tokens whose text the reader needs. */
  shown: ReadonlySet<number>;
  /** The tokens that are allowed; null: all. */
  constraint: AnswerConstraint | null;
  /** Reasoning before the answer, which the constraint leaves free; null: none. */
  reasoning: ReasoningPhase | null;
}

/** Time for which a step waits for the mask of one answer; it is usually computed during the step. */
const MASK_MILLISECONDS = 2;

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
  /** First position at which the adapter is active; Infinity: it is at none. What an answer holds does not move it, as in PEFT. */
  readonly activeFrom: number;
  /** Number of positions in the cache. */
  computed = 0;
  blocks: number[] = [];
  /** True where these positions were computed as those of a long sequence. */
  isLong = false;
  encoded: EncodedInput | null = null;
  /** Only for models with recurrent layers. */
  state: SequenceState | null = null;
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
  /** Logits whose mask is not known yet. */
  #held: Float32Array | null = null;
  #hasCalls = false;
  #result: GenerateResult | null = null;
  #error: { reason: unknown } | null = null;
  #arrived = () => {};

  constructor(
    given: Pick<Sequence, 'team' | 'weight' | 'served' | 'ids' | 'input' | 'leading' | 'activeFrom'> & {
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
    this.activeFrom = given.activeFrom;
    this.#promptTokens = given.promptTokens;
    this.#options = options;
    this.#decoder = options.tokenizer.streamDecoder(options.shown);
  }

  /** True where the length requires other rotary frequencies than a shorter sequence has. */
  get becameLong(): boolean {
    return this.ids.length > (this.served.model.model.architecture.longOver ?? this.ids.length);
  }

  get isOver(): boolean {
    return this.#result !== null || this.#error !== null;
  }

  /** True where the answer has no token yet. */
  get isNew(): boolean {
    return this.#answered === 0;
  }

  /** Records that `positions` were cached when the sequence first started. */
  foundKnown(positions: number): void {
    if (this.isNew) this.#cachedTokens = Math.max(0, positions - this.leading);
  }

  /**
   * Checks whether the sequence can be part of a step. It cannot while logits wait for their mask or, with `needsMask`, as long as the mask of
   * the next token is unknown.
   */
  isReady(needsMask: boolean): boolean {
    if (this.#held) {
      const logits = this.#held;
      this.#held = null;
      this.answer(logits, 0);
    }
    if (this.#held) return false;
    let isKnown = true;
    if (needsMask)
      this.#attempt(() => {
        isKnown = this.#added(1, MASK_MILLISECONDS) !== undefined;
      });
    return isKnown;
  }

  /** Resolves when `isReady` may have changed. */
  async ready(): Promise<void> {
    await this.#options.constraint?.ready();
  }

  /** Ends the use of a constraint. */
  release(): void {
    this.#options.constraint?.close();
    this.served.release();
  }

  /** Terms to add to logits `(V)`; null for nothing, undefined if the mask is not known after `milliseconds`. */
  #added(vocabulary: number, milliseconds = 0): Float32Array | null | undefined {
    const { changes, constraint, reasoning, ends } = this.#options;
    if (constraint === null) return changes.added(vocabulary, null);
    const excluded = reasoning?.excluded() ?? [];
    // Reasoning must not end the answer.
    if (reasoning?.isFree) return changes.added(vocabulary, null, [...ends, ...excluded]);
    const mask = constraint.mask(milliseconds);
    return mask === null ? undefined : changes.added(vocabulary, mask, excluded);
  }

  /** Chooses the next token from logits `(V)`, which are not kept, and for whose mask it waits this long. Any error fails only this sequence. */
  answer(logits: Float32Array, milliseconds = MASK_MILLISECONDS): void {
    this.#attempt(() => {
      const { logprobs, tokenizer, random, repetitionPenalty } = this.#options;
      const added = this.#added(logits.length, milliseconds);
      if (added === undefined) {
        this.#held = logits.slice();
        return;
      }
      const scores = adjusted(penalised(logits, this.ids, repetitionPenalty), added);
      const token = sampleToken(scores, this.#options, random.uniform());
      this.#answer(token, () =>
        logprobs === null ? undefined : likelyTokens(logits, token, logprobs, tokenizer),
      );
    });
  }

  /** How the graph must choose the next of `vocabulary` tokens; unchanged until `take` is called. */
  ask(vocabulary: number): TokenAsk {
    const { temperature, topP, topK, minP, repetitionPenalty, logprobs, random } = this.#options;
    this.#uniform ??= random.uniform();
    const sampling = { temperature, topP, topK, minP, repetitionPenalty };
    return {
      ...sampling,
      uniform: this.#uniform,
      ids: this.ids,
      logprobs,
      added: this.#added(vocabulary) ?? null,
    };
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
    const { stops, ends, limit, constraint, reasoning } = this.#options;
    if (ends.has(token)) {
      this.#end('stop', token);
      return;
    }
    this.#answered++;
    this.#options.changes.count(token);
    if (!reasoning?.isFree) constraint?.accept(token);
    const written = this.#decoder.push(token);
    reasoning?.push(written);
    const text = stops.push(written);
    const likely = likelyOf();
    const said = this.#read(text);
    if (text || !stops.matched) this.#say({ ...said, tokenId: token, ...(likely ? { likely } : {}) });
    if (stops.matched || this.#options.reader?.isOver) this.#finish('stop');
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

  /** The pieces that a text completes; at the end, also what was held back. */
  #read(text: string, isEnd = false): Pick<GeneratedText, 'text' | 'reasoning' | 'calls'> {
    const { reader } = this.#options;
    if (!reader) return { text };
    const pieces = [...reader.push(text), ...(isEnd ? reader.end() : [])];
    const calls = pieces.flatMap((piece) => ('call' in piece ? [piece.call] : []));
    if (calls.length > 0) this.#hasCalls = true;
    const joined = (kind: 'content' | 'reasoning') =>
      pieces.map((piece) => (kind in piece ? (piece as Record<string, string>)[kind] : '')).join('');
    const reasoning = joined('reasoning');
    return {
      text: joined('content'),
      ...(reasoning ? { reasoning } : {}),
      ...(calls.length > 0 ? { calls } : {}),
    };
  }

  #say(piece: Omit<GeneratedText, 'promptTokens' | 'cachedTokens' | 'completionTokens'>): void {
    this.#said.push({ ...piece, ...this.#counts });
    this.#arrived();
  }

  /** Ends the answer after emitting the text that was held back. */
  #end(finishReason: GenerateResult['finishReason'], tokenId: number): void {
    const { stops } = this.#options;
    const text = stops.push(this.#decoder.end()) + stops.end();
    this.#finish(finishReason, text, tokenId);
  }

  /** `rest`: text that was held back. */
  #finish(reason: GenerateResult['finishReason'], rest = '', tokenId = -1): void {
    const said = this.#read(rest, true);
    if (said.text || said.reasoning || said.calls) this.#say({ ...said, tokenId });
    const finishReason = reason === 'stop' && this.#hasCalls ? 'tool_calls' : reason;
    this.#result = { finishReason, ...this.#counts };
    this.#arrived();
  }
}
