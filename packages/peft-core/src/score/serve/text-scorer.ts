import { promptText } from '../../base-model/sentence-prompts.ts';
import type { ScoreTask } from '../../base-model/serving-tasks.ts';
import { GraftError } from '../../errors.ts';
import type { BaseModel } from '../../files.ts';
import { PromptReader } from '../../generate/prompts/prompt-reader.ts';
import { FairRows, type Owned } from '../../generate/turns/fair-rows.ts';
import { architectureFor } from '../../models/registry.ts';
import { type InputTokens, readInputs, type ScoredInput } from './read-inputs.ts';
import { MAX_POSITIONS, MAX_SEQUENCES } from './score-functions.ts';
import { type ScoredModel, ScoredModels, type ScoreKind, type ScoringLimits } from './scored-models.ts';

/** A request for the vectors or classes of texts. */
export interface ScoreRequest {
  /** Folder of the adapter; null: the plain base model. */
  adapter: string | null;
  /** Name of that adapter in errors; default: its folder. */
  adapterName?: string;
  task: ScoreTask;
  /** At least one. */
  inputs: readonly ScoredInput[];
  /** Name of the prompt before each text, empty for none; null or absent: the model's default. Token ids have none. */
  promptName?: string | null;
  /** Owner of the request: teams take turns by weight. */
  team?: string;
  weight?: number;
  /** Called with the number of tokens of each input that was read, even if it is refused. */
  onRead?: (tokens: number) => void;
  signal?: AbortSignal;
}

/** Description of the results, known before the first of them. */
export interface ScoreStart {
  kind: ScoreKind;
  /** Names of the classes, in order; null for vectors. */
  labels: string[] | null;
  severalLabels: boolean;
  /** Number of values of a result; of a word's: 2. */
  width: number;
  /** Number of tokens of all inputs. */
  tokens: number;
}

/**
 * The result of one input: a vector `(H)`, the logits `(classes)` of a text, or of each word the most probable class and its probability,
 * `(words · 2)`, NaN for words that the tokenizer drops.
 */
export interface InputScore {
  index: number;
  values: Float32Array;
}

interface Sequence extends InputTokens {
  index: number;
}

/** A request whose inputs have been read. */
interface Asked extends Owned {
  model: ScoredModel;
  name: string | null;
  /** Those not computed yet, in order. */
  waiting: Sequence[];
  put(scores: InputScore[]): void;
  fail(error: unknown): void;
}

/** Maximum number of values in the results of a request: 2,048 vectors of 8,192 numbers. */
const MAX_VALUES = 2 ** 24;

const defaults: ScoringLimits = { context: 2048, updateBytes: 128 * 2 ** 20 };

/** Computes vectors and classes of texts for many requests, by a base model and adapters on it, while the base stays loaded. */
export class TextScorer {
  readonly #models: ScoredModels;
  readonly #reader: PromptReader;
  readonly #turns = new FairRows<Asked>();
  readonly #asked = new Set<Asked>();
  #running: Promise<void> | null = null;
  #closed = false;

  constructor({ base, ...limits }: { base: BaseModel } & Partial<ScoringLimits>) {
    const { vocabularySize } = architectureFor(base.modelType, base.config);
    this.#models = new ScoredModels(base, { ...defaults, ...limits });
    this.#reader = new PromptReader(base.tokenizerFiles, vocabularySize);
  }

  /**
   * Yields first what the results describe, then the results, in no particular order. Throws `unsupported_task`, `unknown_prompt`, `non_finite_logits`, the errors
   * of `readInputs`, `readFittingAdapter` and `loadWeights`, and the reason of `signal`; none affects other requests.
   */
  async *score(request: ScoreRequest): AsyncGenerator<ScoreStart | InputScore[], void> {
    const { signal, team = '', weight = 1, onRead = () => {} } = request;
    signal?.throwIfAborted();
    const model = await this.#models.use(request.adapter, request.task, team);
    const owner = { team, weight };
    const results: InputScore[][] = [];
    let failure: { error: unknown } | null = null;
    let arrived = () => {};
    let asked: Asked | null = null;
    const onAbort = () => asked?.fail(signal?.reason);
    try {
      checkSize(request.inputs.length, model);
      const prompt = promptText(model.prompts, request.promptName ?? null);
      if (request.promptName) checkTexts(request.inputs);
      const asking = { prompt, owner, signal, onRead };
      const inputs = await readInputs(request.inputs, this.#reader, model, asking);
      const { kind, labels, severalLabels, width } = model;
      yield {
        kind,
        labels,
        severalLabels,
        width,
        tokens: inputs.reduce((sum, { ids }) => sum + ids.length, 0),
      };
      asked = {
        ...owner,
        model,
        name: request.adapter && (request.adapterName ?? request.adapter),
        waiting: inputs.map((input, index) => ({ ...input, index })),
        put(scores) {
          results.push(scores);
          arrived();
        },
        fail(error) {
          failure ??= { error };
          arrived();
        },
      };
      this.#asked.add(asked);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
      this.#running ??= this.#run();
      for (let left = inputs.length; left > 0; ) {
        if (failure) throw (failure as { error: unknown }).error;
        const next = results.shift();
        if (next) {
          left -= next.length;
          yield next;
        } else
          await new Promise<void>((resolve) => {
            arrived = resolve;
          });
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      if (asked) this.#asked.delete(asked);
      model.release();
    }
  }

  /** Requests in progress fail. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#reader.close();
    await this.#running;
    await this.#models.close();
  }

  async #run(): Promise<void> {
    for (;;) {
      // A run blocks this thread, so messages and cancellation are processed first.
      await new Promise((resolve) => setImmediate(resolve));
      const ready = [...this.#asked].filter(({ waiting }) => waiting.length > 0);
      if (this.#closed) for (const asked of ready) asked.fail(new Error('the scorer was closed'));
      if (this.#closed || ready.length === 0) break;
      const [first] = this.#turns.pick(ready, 1);
      const others = ready.filter((each) => each !== first && each.model.key === first!.model.key);
      await this.#compute(batchOf([first!, ...others]));
    }
    this.#running = null;
  }

  async #compute(batch: readonly Item[]): Promise<void> {
    const going = batch.filter(({ asked }) => this.#asked.has(asked));
    if (going.length === 0) return;
    const { model } = going[0]!.asked;
    try {
      await model.ready();
      const rows = model.run(
        going.map(({ asked, sequence }) => ({
          ids: [...asked.model.virtualTokens, ...sequence.ids],
          first: firstPooled(asked.model, sequence),
          updates: asked.model.updates,
        })),
      );
      const byRequest = new Map<Asked, InputScore[]>();
      for (const [i, { asked, sequence }] of going.entries()) {
        const values = valuesOf(asked.model, sequence, rows[i]!);
        if (isUnfit(asked.model, values)) asked.fail(nonFinite(asked.name));
        else byRequest.set(asked, [...(byRequest.get(asked) ?? []), { index: sequence.index, values }]);
      }
      for (const [asked, scores] of byRequest) asked.put(scores);
    } catch (error) {
      const requests = new Set(going.map(({ asked }) => asked));
      // Each request again by itself, so that only one that cannot be computed fails.
      if (requests.size === 1) for (const asked of requests) asked.fail(error);
      else for (const own of requests) await this.#compute(going.filter(({ asked }) => asked === own));
    }
  }
}

interface Item {
  asked: Asked;
  sequence: Sequence;
}

/** Takes the next sequences of the first request, and as many of the others as fit beside them. */
function batchOf(requests: readonly Asked[]): Item[] {
  const batch: Item[] = [];
  let left = MAX_POSITIONS;
  for (const asked of requests) {
    const extra = asked.model.virtualTokens.length;
    let taken = 0;
    for (const sequence of asked.waiting) {
      const length = sequence.ids.length + extra;
      if (batch.length === MAX_SEQUENCES || (length > left && batch.length > 0)) break;
      left -= length;
      batch.push({ asked, sequence });
      taken++;
    }
    asked.waiting.splice(0, taken);
    if (left <= 0) break;
  }
  return batch;
}

/** The result of a sequence from its rows, which are one or those of all positions, virtual ones first. */
function valuesOf(model: ScoredModel, sequence: Sequence, rows: Float32Array): Float32Array {
  const { ids, words } = sequence;
  const leading = model.virtualTokens.length;
  if (words) {
    const width = rows.length / (ids.length + leading);
    return Float32Array.from(
      words.flatMap((at) => {
        if (at === -1) return [Number.NaN, Number.NaN];
        return bestClass(rows.subarray((leading + at) * width, (leading + at + 1) * width));
      }),
    );
  }
  if (model.kind !== 'embedding') return rows;
  const vector =
    model.rows === 'all'
      ? meanOf(rows, { count: ids.length + leading, first: firstPooled(model, sequence) })
      : Float64Array.from(rows);
  // As in `unitRows`: a vector of zeros stays zero.
  const length = model.normalise ? Math.sqrt(vector.reduce((sum, x) => sum + x * x, 1e-24)) : 1;
  return Float32Array.from(vector, (x) => x / length);
}

/** The class with the largest logit, and its probability; infinite if a logit is not finite. */
function bestClass(logits: Float32Array): [number, number] {
  if (logits.some((x) => !Number.isFinite(x))) return [0, Number.POSITIVE_INFINITY];
  const best = logits.reduce((best, x, i) => (x > logits[best]! ? i : best), 0);
  return [best, 1 / logits.reduce((sum, x) => sum + Math.exp(x - logits[best]!), 0)];
}

/** The first position, virtual ones included, that counts in the vector: after a prompt, if the model excludes prompts. */
const firstPooled = (
  { includePrompt, virtualTokens }: ScoredModel,
  { promptLength = 0 }: Sequence,
): number => (includePrompt || promptLength === 0 ? 0 : virtualTokens.length + promptLength);

/** The mean of `count` rows without those before `first`, summed in double precision. */
function meanOf(rows: Float32Array, { count, first }: { count: number; first: number }): Float64Array {
  const width = rows.length / count;
  const sum = new Float64Array(width);
  for (let at = first * width; at < rows.length; at += width)
    for (let i = 0; i < width; i++) sum[i]! += rows[at + i]!;
  return sum.map((x) => x / (count - first));
}

/** Checks whether a logit or a number of a vector is NaN or infinite. Words without tokens have NaN. */
const isUnfit = ({ kind }: ScoredModel, values: Float32Array): boolean =>
  values.some((x) => (kind === 'words' ? x === Number.POSITIVE_INFINITY : !Number.isFinite(x)));

function checkSize(inputs: number, { kind, width }: ScoredModel): void {
  if (kind === 'words' || inputs * width <= MAX_VALUES) return;
  const message = `the results of ${inputs} inputs with ${width} ${kind === 'text' ? 'classes' : 'numbers'} each have more than ${MAX_VALUES} values; send at most ${Math.floor(MAX_VALUES / width)} inputs at a time`;
  throw new GraftError('input_too_large', message, { param: 'input' });
}

/** A prompt is put before a text, while token ids are the whole input of the model. Throws `unsupported_input`. */
function checkTexts(inputs: readonly ScoredInput[]): void {
  const ids = inputs.findIndex((input) => typeof input !== 'string');
  if (ids === -1) return;
  const message = `${inputs.length === 1 ? 'the input' : `input[${ids}]`} has token ids, which have no prompt; send texts, or leave out prompt_name`;
  throw new GraftError('unsupported_input', message, { param: 'input' });
}

function nonFinite(name: string | null): GraftError {
  const whose = name === null ? 'the base model' : `the adapter ${name}`;
  const message = `${whose} computes values that are NaN or infinite: its weights are damaged, or too large; use another version of it`;
  return new GraftError('non_finite_logits', message, { param: 'model' });
}
