import { GraftError } from '../errors.ts';
import type { BaseModel } from '../files.ts';
import { architectureFor } from '../models/registry.ts';
import { Random } from '../random.ts';
import { type ChatMessage, loadTokenizer, strayToken, type Tokenizer } from '../text/index.ts';
import { AdapterSwitch } from './adapter-switch.ts';
import { CachedSequence } from './cached-sequence.ts';
import { sampleToken } from './sampling.ts';
import { StopMatcher } from './stop-matcher.ts';

export interface GenerateRequest {
  /** One of messages and prompt. */
  messages?: ChatMessage[];
  prompt?: string;
  /** Tokens of the answer at most; by default what the context still holds. */
  max_tokens?: number | null;
  /** Default 0: greedy. */
  temperature?: number;
  /** Share of the probability that is sampled from; 1 by default. */
  top_p?: number;
  /** The answer ends before the first of these strings. */
  stop?: string[];
  /** Makes sampling repeatable; random by default. */
  seed?: number | null;
  signal?: AbortSignal;
}

/** What one more token has made sure of the text, and the tokens as far as it. */
export interface GeneratedText {
  text: string;
  tokenId: number;
  promptTokens: number;
  completionTokens: number;
}

export interface GenerateResult {
  finishReason: 'stop' | 'length';
  promptTokens: number;
  completionTokens: number;
}

/** Answers with a base model, or with an adapter on it, switched while the base stays loaded. One sequence at a time. */
export class Generator {
  readonly #base: BaseModel;
  readonly #models: AdapterSwitch;
  readonly #context: number;
  readonly #vocabularySize: number;
  /** Set for encoder-decoders: the encoder reads the prompt, and the answer's own sequence begins with this token. */
  readonly #decoderStart: number | null;
  readonly #tokenizer: Tokenizer;
  #adapter: string | null = null;

  private constructor(base: BaseModel, maxContext: number) {
    const architecture = architectureFor(base.modelType, base.config);
    if (architecture.task !== 'CAUSAL_LM' && architecture.task !== 'SEQ_2_SEQ_LM')
      throw new GraftError('unsupported_task', `${base.modelType} models do not write text`, {
        param: 'model',
      });
    this.#base = base;
    this.#context = Math.min(maxContext, architecture.maxPositions);
    this.#vocabularySize = architecture.vocabularySize;
    this.#decoderStart = architecture.decoderStart ?? null;
    this.#models = new AdapterSwitch(base, architecture, this.#context);
    this.#tokenizer = loadTokenizer(base.tokenizerFiles);
  }

  /**
   * Prepares to answer with `base`. maxContext (default 2048) bounds prompt, answer and an adapter's virtual tokens together, and
   * with it the cache's memory. Throws `unsupported_task` for a model that does not write text.
   */
  static async open({
    base,
    maxContext = 2048,
  }: {
    base: BaseModel;
    maxContext?: number;
  }): Promise<Generator> {
    return new Generator(base, maxContext);
  }

  /** Answers with the adapter in `dir` from now on, or with the plain base model for null. Throws what `readFittingAdapter` throws. */
  async useAdapter(dir: string | null): Promise<void> {
    await this.#models.use(dir);
    this.#adapter = dir;
  }

  /**
   * Yields the answer's text in pieces, each with the id of its token; -1 for text that was held back until the end. `stop` strings
   * are left out. Throws `context_length_exceeded`, `empty_prompt`, `invalid_token_id`, what the chat template throws, and the reason
   * of `signal`.
   */
  async *generate(request: GenerateRequest): AsyncGenerator<GeneratedText, GenerateResult> {
    const model = await this.#models.use(this.#adapter);
    const { virtualTokens, attachment } = model.model;
    const prefixLength = attachment?.prefixLength ?? 0;
    const ids = this.#promptIds(request);
    const leading = virtualTokens.length + prefixLength;
    const left = this.#context - leading - ids.length;
    // An encoder-decoder's answer does not share positions with the prompt.
    const room = this.#decoderStart === null ? left : this.#context - prefixLength - 1;
    if (left < 1 || room < 1) {
      const virtual = leading === 0 ? '' : ` and the adapter ${leading} virtual ones`;
      throw new GraftError(
        'context_length_exceeded',
        `the prompt has ${ids.length} tokens${virtual}; this model answers within ${this.#context} for prompt and answer together`,
        { param: 'messages' },
      );
    }
    const limit = Math.min(request.max_tokens ?? room, room);
    const random = new Random(request.seed ?? Math.floor(Math.random() * 2 ** 31), 'sampling');
    const options = { temperature: request.temperature ?? 0, topP: request.top_p ?? 1 };
    const stops = new StopMatcher(request.stop ?? []);
    const decoder = this.#tokenizer.streamDecoder();
    const ends = this.#endTokens();
    const sequence = new CachedSequence(model, this.#context);
    let logits: Float32Array;
    if (this.#decoderStart === null) logits = sequence.append([...virtualTokens, ...ids]);
    else {
      model.encode([...virtualTokens, ...ids]);
      logits = sequence.append([this.#decoderStart]);
    }
    for (let n = 0; n < limit; n++) {
      const token = sampleToken(logits, options, random.uniform());
      if (ends.has(token)) {
        const rest = stops.push(decoder.end()) + stops.end();
        if (rest) yield { text: rest, tokenId: token, promptTokens: ids.length, completionTokens: n };
        return { finishReason: 'stop', promptTokens: ids.length, completionTokens: n };
      }
      const text = stops.push(decoder.push(token));
      if (text || !stops.matched)
        yield { text, tokenId: token, promptTokens: ids.length, completionTokens: n + 1 };
      if (stops.matched) return { finishReason: 'stop', promptTokens: ids.length, completionTokens: n + 1 };
      // The run below blocks this thread: let messages and cancellation in first.
      await new Promise((resolve) => setImmediate(resolve));
      request.signal?.throwIfAborted();
      if (n + 1 < limit) logits = sequence.append([token]);
    }
    const rest = stops.push(decoder.end()) + stops.end();
    if (rest) yield { text: rest, tokenId: -1, promptTokens: ids.length, completionTokens: limit };
    return { finishReason: 'length', promptTokens: ids.length, completionTokens: limit };
  }

  close(): void {
    this.#models.close();
  }

  #promptIds({ messages, prompt }: GenerateRequest): number[] {
    const ids = messages
      ? this.#tokenizer.encode(this.#tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }), {
          addSpecialTokens: false,
        })
      : this.#tokenizer.encode(prompt ?? '', { addSpecialTokens: true });
    if (ids.length === 0)
      throw new GraftError('empty_prompt', 'the prompt has no tokens; send some text', {
        param: messages ? 'messages' : 'prompt',
      });
    // The model would read larger ids as an adapter's virtual tokens.
    const stray = ids.find((id) => id >= this.#vocabularySize);
    if (stray !== undefined)
      throw new GraftError(
        'invalid_token_id',
        `the prompt has ${strayToken(this.#tokenizer, stray, this.#vocabularySize)}; leave it out`,
        { param: messages ? 'messages' : 'prompt' },
      );
    return [...ids];
  }

  #endTokens(): Set<number> {
    const configured = [this.#base.generationConfig?.eos_token_id, this.#base.config.eos_token_id].flat();
    return new Set(
      [this.#tokenizer.eosId, ...configured].filter((id): id is number => typeof id === 'number'),
    );
  }
}

export const openGenerator = Generator.open;
