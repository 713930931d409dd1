import { unwritten } from '../base-model/serving-tasks.ts';
import type { Message } from '../chat/message.ts';
import { createAnswerReader } from '../chat/tool-styles/answer-reader.ts';
import { type AnswerForm, answerFormOf, answerMarks } from '../chat/tool-styles/tool-styles.ts';
import { GraftError } from '../errors.ts';
import { type BaseModel, endTokens } from '../files.ts';
import { architectureFor } from '../models/registry.ts';
import { Random } from '../random.ts';
import type { SamplingField } from '../schema/sampling-fields.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import { firstActiveInPrompt } from './activation/activation.ts';
import { type AnswerConstraint, AnswerConstraints } from './constrained/answer-constraints.ts';
import { type AnswerDemands, constraintOf, toolsOf } from './constrained/constraint-of.ts';
import { ReasoningPhase } from './constrained/reasoning-phase.ts';
import { PromptReader } from './prompts/prompt-reader.ts';
import { paramOf } from './prompts/prompt-tokens.ts';
import { LogitChanges } from './sampling/adjust-logits.ts';
import { modelDefaults } from './sampling/model-defaults.ts';
import type { SamplingOptions } from './sampling/sampling.ts';
import { Scheduler } from './scheduler.ts';
import { type AnswerOptions, type GeneratedText, type GenerateResult, Sequence } from './sequence.ts';
import { type ServedModel, ServedModels } from './served-models.ts';
import type { ServingLimits } from './step.ts';
import { StopMatcher } from './stop-matcher.ts';

/** A request. `AnswerDemands` apply to messages only. */
export interface GenerateRequest extends AnswerDemands {
  /** Folder of the adapter that answers; default: the plain base model. */
  adapter?: string | null;
  /** Name of that adapter in errors; default: its folder. */
  adapterName?: string;
  /** Exactly one of messages and prompt. */
  messages?: Message[];
  prompt?: string;
  /** Special tokens in messages and prompt are encoded as tokens, not as plain text. Default false. */
  allow_special_tokens?: boolean;
  /** Variables of the chat template, validated with `templateKwargsFault`; they override those with which the adapter was trained. */
  chat_template_kwargs?: TemplateKwargs;
  /** Maximum number of tokens in the answer; default: the rest of the context. */
  max_tokens?: number | null;
  /** Default 0: greedy. */
  temperature?: number;
  /** Share of the probability mass to sample from; default 1. */
  top_p?: number;
  /** Number of the most probable tokens to sample from; default 0: all. */
  top_k?: number;
  /** Tokens with less than this share of the most probable token's probability are excluded; default 0. */
  min_p?: number;
  /** Values above 1 make tokens of the prompt and the answer less probable; default 1. Also applies to greedy answers. */
  repetition_penalty?: number;
  /** Added to the logits of tokens, by id. */
  logit_bias?: Readonly<Record<string, number>>;
  /** Subtracted from the logit of a token of the answer for each time that it occurs there; default 0. */
  frequency_penalty?: number;
  /** Subtracted from the logits of tokens that occur in the answer; default 0. */
  presence_penalty?: number;
  /**
   * Return reasoning apart from the content. Tool calls always are, if there are tools, and so is the reasoning before a constrained answer.
   * Default false: it is part of the text.
   */
  separate_reasoning?: boolean;
  /** Fields for which the model's generation_config.json takes precedence if it sets them; default none. */
  model_defaults?: readonly SamplingField[];
  /** The answer ends before the first of these strings. */
  stop?: string[];
  /** Makes sampling reproducible; default: random. */
  seed?: number | null;
  /** Returns each token's log-probability, and those of this number of the most probable tokens; default null: neither. */
  logprobs?: number | null;
  /** Owner of the request: teams get rows by weight, and never share cached prefixes of their prompts. */
  team?: string;
  weight?: number;
  /**
   * Called with the prompt's number of tokens once it was read, even if it is then rejected; for a prompt that is too long to be tokenised,
   * with a lower bound.
   */
  onPromptRead?: (tokens: number) => void;
  signal?: AbortSignal;
}

/**
 * `context` (default 2048): maximum of prompt, answer and an adapter's virtual tokens together; `rows` (16): sequences per step;
 * `cacheBytes` (512 MiB): memory for the keys and values of all sequences; `updateBytes` (128 MiB): memory for low-rank adapters. On a
 * GPU, `memoryBytes`: total memory of the generator. `baseDtype` ("auto"): storage type of the base. On a CPU, `activationDtype` ("fp32"): how
 * products with a base in int8 or nf4 are computed.
 */
export type GeneratorOptions = { base: BaseModel } & Partial<ServingLimits>;

/** Maximum number of templates whose forms are kept. */
const MAX_FORMS = 16;

const defaults: ServingLimits = {
  context: 2048,
  rows: 16,
  cacheBytes: 512 * 2 ** 20,
  updateBytes: 128 * 2 ** 20,
};

/** Answers many requests at once with a base model and adapters on it, while the base stays loaded. */
export class Generator {
  readonly #base: BaseModel;
  readonly #models: ServedModels;
  readonly #context: number;
  /** Set for encoder-decoders: the encoder reads the prompt, and the answer's sequence starts with this token. */
  readonly #decoderStart: number | null;
  readonly #reader: PromptReader;
  /** Answer forms of the chat templates in use: the base model's and those of adapters. */
  readonly #forms = new Map<string, AnswerForm>();
  /** Rows of the embedding table. */
  readonly #vocabularySize: number;
  readonly #constraints: AnswerConstraints;
  #scheduler: Scheduler | null = null;
  #running: Promise<void> | null = null;
  #ends: ReturnType<typeof endTokens> | null = null;
  #closed = false;

  private constructor({ base, ...given }: GeneratorOptions) {
    const architecture = architectureFor(base.modelType, base.config);
    if (architecture.task !== 'CAUSAL_LM' && architecture.task !== 'SEQ_2_SEQ_LM')
      throw unwritten(base.modelType);
    const limits = { ...defaults, ...given };
    this.#base = base;
    this.#context = Math.min(limits.context, architecture.maxPositions);
    this.#decoderStart = architecture.decoderStart ?? null;
    this.#models = new ServedModels(base, architecture, { ...limits, context: this.#context });
    this.#reader = new PromptReader(base.tokenizerFiles, architecture.vocabularySize);
    this.#vocabularySize = architecture.vocabularySize;
    this.#constraints = new AnswerConstraints(base.tokenizerFiles, this.#vocabularySize, answerMarks);
  }

  /** Prepares to answer with `base`. Throws `unsupported_task` for a model that does not generate text. */
  static async open(options: GeneratorOptions): Promise<Generator> {
    return new Generator(options);
  }

  /**
   * Yields the answer's text in pieces, each with the id of its token; -1 for text that was held back until the end. `stop` strings
   * are removed. Throws `context_length_exceeded`, `empty_prompt`, `invalid_token_id`, `prompt_not_tokenized`, `non_finite_logits`,
   * `answer_failed`, `tools_not_supported`, `invalid_schema`, `constraint_failed`, `adapter_template_failed`, `adapter_shapes_full`, the
   * errors of the chat template and of `readFittingAdapter`, and the reason of `signal`; none affects other answers.
   */
  async *generate(request: GenerateRequest): AsyncGenerator<GeneratedText, GenerateResult> {
    const { signal } = request;
    signal?.throwIfAborted();
    const served = await this.#models.use(request.adapter ?? null, request.team);
    let sequence: Sequence;
    let scheduler: Scheduler;
    try {
      const form = this.#formOf(served);
      const prompt = await this.#read(request, served, form);
      const ends = this.#endsOf(request, form, prompt.turnEnds);
      const demanded = request.messages ? constraintOf(request, form) : null;
      const reasoning =
        demanded && ReasoningPhase.of(form, prompt.end, this.#reader.tokenizer, this.#vocabularySize);
      const constraint = demanded && (await this.#startConstraint(request, demanded, reasoning, ends));
      sequence = this.#sequenceOf(request, served, prompt, { form, ends, constraint, reasoning });
      const program = await this.#models.program();
      // The program is rebuilt when it has too many shapes.
      if (this.#scheduler?.program !== program) this.#scheduler = new Scheduler(program);
      scheduler = this.#scheduler;
    } catch (error) {
      served.release();
      throw error;
    }
    const onAbort = () => sequence.fail(signal?.reason);
    scheduler.add(sequence);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    this.#running ??= this.#run();
    try {
      return yield* sequence.pieces();
    } finally {
      signal?.removeEventListener('abort', onAbort);
      scheduler.remove(sequence);
    }
  }

  /** Answers in progress fail. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#reader.close();
    await this.#constraints.close();
    await this.#running;
    await this.#models.close();
  }

  async #run(): Promise<void> {
    while (this.#scheduler && !this.#scheduler.isIdle) {
      const scheduler = this.#scheduler;
      // A step blocks this thread, so messages and cancellation are processed first.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#closed) scheduler.failAll(new Error('the generator was closed'));
      try {
        await scheduler.step();
      } catch (error) {
        scheduler.failAll(error);
      }
    }
    this.#running = null;
  }

  /** The prompt's tokens, which leave space for an answer, and those that end a turn of the adapter's own template. */
  async #read(
    request: GenerateRequest,
    served: ServedModel,
    form: AnswerForm,
  ): Promise<{ ids: Int32Array; end: string; turnEnds?: readonly number[] }> {
    const allowSpecialTokens = request.allow_special_tokens ?? false;
    const templateKwargs = { ...served.templateKwargs, ...request.chat_template_kwargs };
    const text = request.messages
      ? {
          messages: request.messages,
          tools: toolsOf(request, form),
          templateKwargs,
          chatTemplate: served.chatTemplate,
          hasTrainingDate: served.adapter !== null,
        }
      : { prompt: request.prompt ?? '' };
    const prompt = { ...text, allowSpecialTokens };
    const limits = { context: this.#context, leading: leadingOf(served) };
    const owner = { team: request.team ?? '', weight: request.weight ?? 1 };
    const read = await this.#reader.read(prompt, limits, owner, request.signal);
    if (this.#closed) throw new Error('the generator was closed');
    request.onPromptRead?.('ids' in read ? read.ids.length : read.tokens);
    if ('ids' in read) return read;
    const { code, message } = read.refusal;
    throw new GraftError(code, message, { param: paramOf(prompt) });
  }

  /** Maximum number of tokens in the answer to a prompt. An encoder-decoder's answer does not share positions with the prompt. */
  #longestAnswer(promptTokens: number, served: ServedModel): number {
    if (this.#decoderStart !== null) return this.#context - prefixOf(served) - 1;
    return this.#context - leadingOf(served) - promptTokens;
  }

  /** The form of answers by the template that writes the prompt. */
  #formOf({ chatTemplate }: ServedModel): AnswerForm {
    const source = chatTemplate ?? this.#reader.tokenizer.chatTemplateSource;
    const key = source ?? '';
    const form = this.#forms.get(key) ?? answerFormOf(source);
    this.#forms.delete(key);
    this.#forms.set(key, form);
    const [oldest] = this.#forms.keys();
    if (this.#forms.size > MAX_FORMS) this.#forms.delete(oldest!);
    return form;
  }

  async #startConstraint(
    request: GenerateRequest,
    { format: answer, param }: NonNullable<ReturnType<typeof constraintOf>>,
    reasoning: ReasoningPhase | null,
    ends: ReadonlySet<number>,
  ): Promise<AnswerConstraint> {
    const owner = { team: request.team ?? '', weight: request.weight ?? 1 };
    const format = reasoning ? reasoning.around(answer) : answer;
    return await this.#constraints.start({ format, param, ends }, owner, request.signal);
  }

  /** How the answer's text is read; null if all of it is content. */
  #answerReaderOf(request: GenerateRequest, form: AnswerForm, promptEnd: string, isConstrained: boolean) {
    if (!request.messages) return null;
    const tools = toolsOf(request, form);
    const isSeparate = request.separate_reasoning || isConstrained;
    if (tools.length === 0 && !isSeparate) return null;
    const reasoning = isSeparate ? form.reasoning : null;
    const parallel = request.parallel_tool_calls ?? true;
    return createAnswerReader({ ...form, reasoning, tools, promptEnd, parallel, isConstrained });
  }

  #changesOf({
    logit_bias = {},
    frequency_penalty = 0,
    presence_penalty = 0,
  }: GenerateRequest): LogitChanges {
    const bias = new Map(Object.entries(logit_bias).map(([id, value]) => [Number(id), value]));
    return new LogitChanges({ bias, frequencyPenalty: frequency_penalty, presencePenalty: presence_penalty });
  }

  #sequenceOf(
    request: GenerateRequest,
    served: ServedModel,
    { ids: prompt, end }: { ids: Int32Array; end: string },
    answer: Pick<AnswerOptions, 'ends' | 'constraint' | 'reasoning'> & { form: AnswerForm },
  ): Sequence {
    const { form, ends, constraint, reasoning } = answer;
    const reader = this.#answerReaderOf(request, form, end, constraint !== null);
    const { virtualTokens } = served.model.model;
    const [leading, prefix] = [leadingOf(served), prefixOf(served)];
    const longest = this.#longestAnswer(prompt.length, served);
    const before = Array<number>(prefix).fill(-1);
    const whole = [...virtualTokens, ...prompt];
    return new Sequence(
      {
        team: request.team ?? '',
        weight: request.weight ?? 1,
        served,
        leading,
        ids: this.#decoderStart === null ? [...before, ...whole] : [...before, this.#decoderStart],
        input: this.#decoderStart === null ? null : whole,
        promptTokens: prompt.length,
        activeFrom: firstActiveInPrompt(served, whole),
      },
      {
        ...this.#samplingOf(request),
        adapterName: request.adapter ? (request.adapterName ?? request.adapter) : null,
        limit: Math.min(request.max_tokens ?? longest, longest),
        logprobs: request.logprobs ?? null,
        random: new Random(request.seed ?? Math.floor(Math.random() * 2 ** 31), 'sampling'),
        stops: new StopMatcher(request.stop ?? []),
        ends,
        tokenizer: this.#reader.tokenizer,
        changes: this.#changesOf(request),
        reader,
        shown: this.#reader.tokenizer.specialIdsOf(reader ? marksOf(form) : []),
        constraint,
        reasoning,
      },
    );
  }

  #samplingOf({ model_defaults = [], ...request }: GenerateRequest): Required<SamplingOptions> {
    const defaults = model_defaults.length > 0 ? modelDefaults(this.#base.generationConfig) : {};
    const value = (name: SamplingField, otherwise: number) =>
      (model_defaults.includes(name) ? defaults[name] : undefined) ?? request[name] ?? otherwise;
    return {
      temperature: value('temperature', 0),
      topP: value('top_p', 1),
      topK: value('top_k', 0),
      minP: value('min_p', 0),
      repetitionPenalty: value('repetition_penalty', 1),
    };
  }

  /**
   * Tokens that end the answer; an answer to a conversation also ends at the end of its turn. `turnEnds`: those of the adapter's own
   * template.
   */
  #endsOf(
    { messages }: GenerateRequest,
    form: AnswerForm,
    turnEnds?: readonly number[],
  ): ReadonlySet<number> {
    const { tokenizer } = this.#reader;
    this.#ends ??= endTokens(this.#base, tokenizer);
    if (!messages) return this.#ends.text;
    const { ends = [], continues = [] } = form.style ?? {};
    const continued = tokenizer.specialIdsOf(continues);
    const chat = turnEnds ? [...this.#ends.text, ...turnEnds] : [...this.#ends.chat];
    return new Set([...chat.filter((id) => !continued.has(id)), ...tokenizer.specialIdsOf(ends)]);
  }
}

/** Texts that a reader needs although they may be special tokens. */
function marksOf({ style, reasoning }: AnswerForm): readonly string[] {
  return [...(style?.marks ?? []), ...(reasoning ? [reasoning.open, reasoning.close, '<|channel>'] : [])];
}

const prefixOf = ({ model }: ServedModel): number => model.model.attachment?.prefixLength ?? 0;

/** Number of positions before the prompt. */
const leadingOf = (served: ServedModel): number => served.model.model.virtualTokens.length + prefixOf(served);

export const openGenerator = Generator.open;
