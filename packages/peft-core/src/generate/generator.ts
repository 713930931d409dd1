import { adapterValues } from '../adapter-values.ts';
import type { PeftConfig } from '../config.ts';
import { GraftError } from '../errors.ts';
import { type BaseModel, readAdapter } from '../formats/index.ts';
import { loadWeights } from '../load-weights.ts';
import { architectureFor } from '../models/registry.ts';
import { Random } from '../rng.ts';
import { type ChatMessage, loadTokenizer, type Tokenizer } from '../text/index.ts';
import { buildGenerationProgram, type GenerationProgram } from './generation-program.ts';
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
  top_p?: number;
  stop?: string[];
  seed?: number | null;
  signal?: AbortSignal;
}

export interface GenerateResult {
  finishReason: 'stop' | 'length';
  promptTokens: number;
  completionTokens: number;
}

/**
 * Answers with a base model, or with an adapter on it. One sequence at a time. Adapters of one shape (rank and modules) are
 * switched by writing their values; one of another shape builds the program anew.
 */
export class Generator {
  readonly #base: BaseModel;
  readonly #context: number;
  readonly #tokenizer: Tokenizer;
  #loaded: { program: GenerationProgram; shape: string; adapter: string | null } | null = null;

  private constructor(base: BaseModel, context: number) {
    this.#base = base;
    this.#context = context;
    this.#tokenizer = loadTokenizer(base.tokenizerFiles);
  }

  /** Loads `base`. maxContext (default 2048) bounds prompt and answer together, and with it the cache's memory. */
  static async open({
    base,
    maxContext = 2048,
  }: {
    base: BaseModel;
    maxContext?: number;
  }): Promise<Generator> {
    const { maxPositions } = architectureFor(base.modelType, base.config);
    return new Generator(base, Math.min(maxContext, maxPositions));
  }

  /** Answers from now on with the adapter in `dir`, or with the plain base model. */
  async useAdapter(dir: string | null): Promise<void> {
    if (this.#loaded && this.#loaded.adapter === dir) return;
    if (dir === null) {
      // An adapter whose update is zero is the base model, so a loaded program can serve it as it is.
      if (this.#loaded?.program.model.attachment?.zeroIsBase) {
        await this.#write(new Float32Array(this.#loaded.program.model.layout.size));
        this.#loaded.adapter = null;
        return;
      }
      await this.#build(null, 'base');
      this.#loaded!.adapter = null;
      return;
    }
    const { config, tensors } = await readAdapter(dir);
    const shape = JSON.stringify([...tensors].map(([name, t]) => [name, t.shape])) + JSON.stringify(config);
    if (this.#loaded?.shape !== shape) await this.#build(config, shape);
    await this.#write(adapterValues(this.#loaded!.program.model, tensors));
    this.#loaded!.adapter = dir;
  }

  async *generate(
    request: GenerateRequest,
  ): AsyncGenerator<{ text: string; tokenId: number }, GenerateResult> {
    if (!this.#loaded) await this.useAdapter(null);
    const { program } = this.#loaded!;
    const ids = this.#promptIds(request);
    const room = this.#context - ids.length;
    if (room < 1) {
      throw new GraftError(
        'context_length_exceeded',
        `the prompt has ${ids.length} tokens; this model answers within ${this.#context} for prompt and answer together`,
        { param: 'messages' },
      );
    }
    const limit = Math.min(request.max_tokens ?? room, room);
    const random = new Random(request.seed ?? Math.floor(Math.random() * 2 ** 31), 0);
    const options = { temperature: request.temperature ?? 0, topP: request.top_p ?? 1 };
    const stops = new StopMatcher(request.stop ?? []);
    const decoder = this.#tokenizer.streamDecoder();
    const ends = this.#endTokens();
    let logits = this.#prefill(program, ids);
    for (let n = 0; n < limit; n++) {
      const token = sampleToken(logits, options, random.uniform());
      if (ends.has(token)) {
        const rest = stops.push(decoder.end()) + stops.end();
        if (rest) yield { text: rest, tokenId: token };
        return { finishReason: 'stop', promptTokens: ids.length, completionTokens: n };
      }
      const text = stops.push(decoder.push(token));
      if (text || !stops.matched) yield { text, tokenId: token };
      if (stops.matched) return { finishReason: 'stop', promptTokens: ids.length, completionTokens: n + 1 };
      // The run below blocks this thread: let messages and cancellation in first.
      await new Promise((resolve) => setImmediate(resolve));
      request.signal?.throwIfAborted();
      if (n + 1 < limit) logits = this.#extend(program, [token], ids.length + n);
    }
    const rest = stops.push(decoder.end()) + stops.end();
    if (rest) yield { text: rest, tokenId: -1 };
    return { finishReason: 'length', promptTokens: ids.length, completionTokens: limit };
  }

  close(): void {
    this.#loaded?.program.program.close();
    this.#loaded = null;
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
    return [...ids];
  }

  #endTokens(): Set<number> {
    const configured = [this.#base.generationConfig?.eos_token_id, this.#base.config.eos_token_id].flat();
    return new Set(
      [this.#tokenizer.eosId, ...configured].filter((id): id is number => typeof id === 'number'),
    );
  }

  #prefill(program: GenerationProgram, ids: number[]): Float32Array {
    let logits: Float32Array | undefined;
    for (let start = 0; start < ids.length; ) {
      const left = ids.length - start;
      const stride = program.strides.find((s) => s >= left) ?? program.strides.at(-1)!;
      const chunk = ids.slice(start, start + stride);
      logits = this.#extend(program, chunk, start);
      start += chunk.length;
    }
    return logits!;
  }

  #extend(program: GenerationProgram, ids: number[], start: number): Float32Array {
    // A chunk that would run over the cache's end is taken token by token.
    const wide = program.strides.find((s) => s >= ids.length)!;
    if (start + wide > this.#context) {
      let logits: Float32Array | undefined;
      ids.forEach((id, i) => {
        logits = this.#run(program, 1, [id], start + i);
      });
      return logits!;
    }
    return this.#run(program, wide, ids, start);
  }

  #run(program: GenerationProgram, stride: number, ids: number[], start: number): Float32Array {
    const padded = new Int32Array(stride);
    padded.set(ids);
    const feeds = { ids: padded, start: Int32Array.of(start), last: Int32Array.of(ids.length - 1) };
    return program.program.run(program.functionFor(stride, start + stride), feeds).logits!
      .data as Float32Array;
  }

  async #build(peft: PeftConfig | null, shape: string): Promise<void> {
    this.close();
    const architecture = architectureFor(this.#base.modelType, this.#base.config);
    const program = buildGenerationProgram(architecture, peft, this.#context);
    await loadWeights(program.program, this.#base, architecture, 'float32');
    await program.clear();
    this.#loaded = { program, shape, adapter: null };
  }

  async #write(values: Float32Array): Promise<void> {
    await this.#loaded!.program.program.write([['adapter', values]]);
  }
}

export const openGenerator = Generator.open;
