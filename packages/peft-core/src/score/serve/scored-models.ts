import { type Program, ProgramBuilder } from '@graft/tf-graph';
import { readSentencePrompts, type SentencePrompts } from '../../base-model/sentence-prompts.ts';
import { checkScoreTask, type ScoreTask } from '../../base-model/serving-tasks.ts';
import type { PeftConfig } from '../../config/index.ts';
import { GraftError } from '../../errors.ts';
import { type BaseModel, sequencePooling } from '../../files.ts';
import { AdapterArena, type PlacedUpdates } from '../../generate/arenas/adapter-arena.ts';
import {
  alone,
  type LoadedModel,
  LoadedModels,
  type ModelUse,
  type ShapeFunctions,
} from '../../generate/loaded-models.ts';
import type { ShapeLimits } from '../../generate/shapes.ts';
import type { Architecture } from '../../models/architecture.ts';
import { architectureFor } from '../../models/registry.ts';
import { graphTarget } from '../../nn/computation.ts';
import { defaultTask } from '../../outlines/index.ts';
import { ownLabels } from '../../outlines/label-names.ts';
import { adapterLabels } from '../../peft-model/adapter-architecture.ts';
import { readFittingAdapter } from '../../peft-model/adapter-fit.ts';
import { attachAdapter, type PeftModel, readsBaseHead } from '../../peft-model/peft-model.ts';
import { isExactInBfloat16 } from '../../tensors/tensor-source.ts';
import { leadingPositions } from '../../tuners/methods.ts';
import type { BaseStorage } from '../../weights/base-storage.ts';
import { SharedWeights } from '../../weights/shared-weights.ts';
import { type ScoredSequence, scoreFunctions, usesLists } from './score-functions.ts';

/** Subject of a result: a text's vector, a text's classes, or the classes of each of its words. */
export type ScoreKind = 'embedding' | 'text' | 'words';

/** Limits of memory and lengths. `baseDtype`: storage of the base's matrices on a GPU; default "auto": that of its files. */
export interface ScoringLimits {
  /** Maximum number of positions of a text. */
  context: number;
  /** Memory for low-rank adapters of embeddings, which are computed together. */
  updateBytes: number;
  baseDtype?: 'auto' | 'fp32' | 'bf16' | 'int8' | 'nf4';
}

/** A model that computes vectors or classes. */
interface Model {
  kind: ScoreKind;
  /** How a text becomes one row; `all`: the mean of its positions, or the words' own rows. */
  rows: 'first' | 'last' | 'all';
  normalise: boolean;
  /** The tokens of a prompt count in a vector. */
  includePrompt: boolean;
  /** Prompts of an adapter or the base model; null: none. */
  prompts: SentencePrompts | null;
  /** Names of the classes; null for vectors. */
  labels: string[] | null;
  severalLabels: boolean;
  /** Ids of the virtual tokens before a text. */
  virtualTokens: readonly number[];
  /** Maximum number of tokens of a text, without the virtual ones. */
  longest: number;
  vocabularySize: number;
  /** Number of values of a result; of a word: its class and the probability. */
  width: number;
}

/** A base model or an adapter on it, in use. */
export interface ScoredModel extends Model, Omit<ModelUse<Loaded>, 'loaded'> {
  /** Sequences whose models have the same function, and equal keys, are computed together. */
  run(sequences: readonly ScoredSequence[]): Float32Array[];
  key: unknown;
  updates: PlacedUpdates | null;
}

interface Attached extends ShapeFunctions {
  model: PeftModel;
  run: ScoredModel['run'];
}

interface Loaded extends Model, LoadedModel<Attached, PlacedUpdates> {}

interface Built {
  builder: ProgramBuilder;
  program: Program;
  weights: SharedWeights;
}

/**
 * One base model that stays loaded, and the adapters on it that compute vectors or classes, loaded on first use. They share the base's
 * weights, whatever their tasks. Low-rank adapters of embeddings are computed together, with each other and the base model; of the others,
 * those with the same config and shape share a function that holds the values of one of them.
 */
export class ScoredModels {
  readonly #base: BaseModel;
  readonly #limits: ScoringLimits;
  #attached = 0;
  readonly #models: LoadedModels<string, Built, Attached, Loaded, PlacedUpdates>;
  #opening: Promise<unknown> = Promise.resolve();

  constructor(base: BaseModel, limits: ScoringLimits, shapes: Partial<ShapeLimits> = {}) {
    this.#base = base;
    this.#limits = limits;
    this.#models = new LoadedModels(shapes);
  }

  /** Number of adapter shapes for which the program has functions. */
  get shapes(): number {
    return this.#models.shapes;
  }

  /**
   * `adapter`: its folder; null: the plain base model. Throws `unsupported_task` for a model of another kind, `adapter_shapes_full`, and the
   * errors of `readFittingAdapter` and `loadWeights`.
   */
  async use(adapter: string | null, task: ScoreTask, team = ''): Promise<ScoredModel> {
    const key = JSON.stringify([adapter, task]);
    const open = () =>
      this.#inTurn(() => (adapter === null ? this.#openBase(task) : this.#open(adapter, task, team)));
    const { loaded, ...use } = await this.#models.use(key, team, open);
    const { attached, values, users: _, ...model } = loaded;
    // Other adapters of the same shape have different values.
    return { ...model, ...use, run: attached.run, key: values ? loaded : attached };
  }

  async close(): Promise<void> {
    await this.#models.close(new Error('the scorer was closed'));
  }

  /** Loads one model after another, since each adds to the program. */
  #inTurn(open: () => Promise<Loaded>): Promise<Loaded> {
    const opened = this.#opening.catch(() => null).then(open);
    this.#opening = opened;
    return opened;
  }

  async #open(dir: string, task: ScoreTask, team: string): Promise<Loaded> {
    const { adapter, architecture } = await readFittingAdapter(this.#base, dir);
    const { config } = adapter;
    await checkScoreTask(this.#base, config.task_type, task);
    const labels = adapterLabels(this.#base, adapter);
    const leading = leadingPositions(config);
    const { sentencePrompts } = adapter;
    const model = await this.#modelOf(architecture, labels, leading, sentencePrompts);
    const { severalLabels } = adapter;
    const built = await this.#program();
    const isTogether = model.kind === 'embedding' && usesLists(architecture, 0);
    const loaded = await this.#models.load(
      adapter,
      architecture,
      team,
      isTogether ? () => this.#shared(built, architecture, model) : null,
      () => this.#attach(built, architecture, model, config),
    );
    return { ...model, severalLabels, ...loaded };
  }

  async #openBase(task: ScoreTask): Promise<Loaded> {
    const base = this.#base;
    const own = defaultTask(base.config);
    await checkScoreTask(base, null, task);
    const architecture = architectureFor(
      base.modelType,
      base.config,
      task === 'embed' ? 'FEATURE_EXTRACTION' : own,
    );
    const labels = task === 'embed' ? null : ownLabels(base.config, own);
    const prompts = task === 'embed' ? await readSentencePrompts(base.path) : null;
    const model = await this.#modelOf(architecture, labels, noPositions, prompts);
    const severalLabels = base.config.problem_type === 'multi_label_classification';
    const built = await this.#program();
    const shared =
      task === 'embed' && usesLists(architecture, 0)
        ? await this.#models.shared(() => this.#shared(built, architecture, model))
        : null;
    const attached = shared?.model ?? (await this.#attach(built, architecture, model, null));
    return { ...model, severalLabels, ...alone(attached) };
  }

  async #modelOf(
    architecture: Architecture,
    labels: string[] | null,
    { virtualTokens, prefixLength }: ReturnType<typeof leadingPositions>,
    prompts: SentencePrompts | null,
  ): Promise<Omit<Model, 'severalLabels'>> {
    const { pooling, ...vectors } = await sequencePooling(this.#base.path, architecture);
    const kind = kinds[architecture.task as keyof typeof kinds];
    const { vocabularySize, maxPositions } = architecture;
    checkLabels(labels ?? []);
    return {
      kind,
      rows: kind === 'words' || pooling === 'mean' ? 'all' : pooling,
      ...vectors,
      prompts,
      labels,
      virtualTokens: Array.from({ length: virtualTokens }, (_, i) => vocabularySize + i),
      longest: Math.min(maxPositions - prefixLength, this.#limits.context) - virtualTokens,
      vocabularySize,
      width: kind === 'words' ? 2 : (labels?.length ?? architecture.hiddenSize),
    };
  }

  #program(): Promise<Built> {
    return this.#models.program(async () => {
      const builder = new ProgramBuilder();
      const program = builder.build();
      const weights = new SharedWeights(builder, program, this.#base, this.#storage());
      return { builder, program, weights };
    });
  }

  /** On a GPU weights that are bfloat16 in the files stay so, since they have the same values, and are multiplied in float32. */
  #storage(): BaseStorage {
    const { baseDtype = 'auto' } = this.#limits;
    if (graphTarget() !== 'gpu' || baseDtype === 'fp32') return 'float32';
    if (baseDtype !== 'auto') return baseDtype === 'bf16' ? 'bfloat16' : baseDtype;
    const { tensors } = this.#base;
    return tensors.names().every((name) => isExactInBfloat16(tensors.info(name).dtype))
      ? 'bfloat16'
      : 'float32';
  }

  async #attach(
    { builder, program, weights }: Built,
    architecture: Architecture,
    { rows, longest, virtualTokens }: Pick<Model, 'rows' | 'longest' | 'virtualTokens'>,
    peft: PeftConfig | null,
    arena: AdapterArena | null = null,
  ): Promise<Attached> {
    const frozen = await weights.of(architecture, readsBaseHead(architecture, peft));
    const name = `adapter.${this.#attached++}`;
    const model = attachAdapter(builder, architecture, frozen, peft, { form: 'folded', name });
    builder.extend(program);
    const positions = longest + virtualTokens.length;
    const run = scoreFunctions({ builder, program, name, model, rows, longest: positions, arena });
    const write = async (values: Float32Array) => await program.write([[model.adapter!.name, values]]);
    return { model, run, write };
  }

  /** The plain base model with each row's own update. */
  async #shared(
    built: Built,
    architecture: Architecture,
    model: Pick<Model, 'rows' | 'longest' | 'virtualTokens'>,
  ) {
    const { builder, program } = built;
    const arena = new AdapterArena(builder, program, architecture, this.#limits.updateBytes / 4);
    await arena.clear(program);
    return { arena, model: await this.#attach(built, architecture, model, null, arena) };
  }
}

const noPositions = { virtualTokens: 0, prefixLength: 0 };

/** Maximum characters of a class name of adapters, and of all names of one, which every answer lists. */
const labelCharacters = { one: 4096, all: 2 ** 20 };

function checkLabels(labels: readonly string[]): void {
  const { one, all } = labelCharacters;
  const total = labels.reduce((sum, { length }) => sum + length, 0);
  if (total <= all && labels.every(({ length }) => length <= one)) return;
  throw new GraftError(
    'unsupported_labels',
    'model: its class names are too long to be returned; train it with shorter ones',
    { param: 'model' },
  );
}

const kinds = { FEATURE_EXTRACTION: 'embedding', SEQ_CLS: 'text', TOKEN_CLS: 'words' } as const;
