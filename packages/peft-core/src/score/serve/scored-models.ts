import { type Program, ProgramBuilder } from '@graft/tf-graph';
import { readSentencePrompts, type SentencePrompts } from '../../base-model/sentence-prompts.ts';
import { checkScoreTask, otherTask, type ScoreTask } from '../../base-model/serving-tasks.ts';
import type { PeftConfig } from '../../config/index.ts';
import { GraftError } from '../../errors.ts';
import { type Adapter, type BaseModel, sequencePooling } from '../../files.ts';
import { AdapterArena, type PlacedUpdates } from '../../generate/arenas/adapter-arena.ts';
import { isLowRankAlone, withoutDropout } from '../../generate/served-models.ts';
import { type ShapeLimits, Shapes, ShapesFull } from '../../generate/shapes.ts';
import type { Architecture } from '../../models/architecture.ts';
import { architectureFor } from '../../models/registry.ts';
import { graphTarget } from '../../nn/computation.ts';
import { defaultTask } from '../../outlines/index.ts';
import { ownLabels } from '../../outlines/label-names.ts';
import { adapterLabels } from '../../peft-model/adapter-architecture.ts';
import { readFittingAdapter } from '../../peft-model/adapter-fit.ts';
import { adapterFaults, mismatch } from '../../peft-model/adapter-values.ts';
import { type AdapterInMemory, HeldValues } from '../../peft-model/held-values.ts';
import { attachAdapter, type PeftModel, readsBaseHead } from '../../peft-model/peft-model.ts';
import { isExactInBfloat16 } from '../../tensors/tensor-source.ts';
import { leadingPositions } from '../../tuners/methods.ts';
import { attach, keysOf } from '../../tuners/registry.ts';
import type { BaseStorage } from '../../weights/base-storage.ts';
import { SharedWeights } from '../../weights/shared-weights.ts';
import { type ScoredSequence, scoreFunctions, usesLists } from './score-functions.ts';

/** What a result describes: a text's vector, a text's classes, or the classes of each of its words. */
export type ScoreKind = 'embedding' | 'text' | 'words';

/** Limits of memory and lengths. `baseDtype`: storage of the base's matrices on a GPU; default "auto": that of its files. */
export interface ScoringLimits {
  /** Maximum number of positions of a text. */
  context: number;
  /** Memory for low-rank adapters of embeddings, which are computed together. */
  updateBytes: number;
  baseDtype?: 'auto' | 'fp32' | 'bf16' | 'int8' | 'nf4';
}

/** Maximum number of unused adapters that stay loaded. */
const MAX_IDLE = 8;

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
  /** Whether a text may have several classes. */
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
export interface ScoredModel extends Model {
  /** Sequences whose models have the same function, and equal keys, are computed together. */
  run(sequences: readonly ScoredSequence[]): Float32Array[];
  key: unknown;
  updates: PlacedUpdates | null;
  /** Sets the adapter's values, whose variable it shares with others of its shape; call before each run. */
  ready(): Promise<void>;
  /** Ends the use. */
  release(): void;
}

interface Attached {
  model: PeftModel;
  run: ScoredModel['run'];
  holds: Loaded | null;
}

interface Loaded extends Model {
  attached: Attached;
  values: AdapterInMemory | null;
  updates: PlacedUpdates | null;
  users: number;
}

interface Built {
  builder: ProgramBuilder;
  program: Program;
  weights: SharedWeights;
  /** For the low-rank updates of embeddings; made at the first. */
  shared: Promise<{ arena: AdapterArena; attached: Attached }> | null;
}

/**
 * One base model that stays loaded, and the adapters on it that compute vectors or classes, loaded on first use. They share the base's
 * weights, whatever their tasks. Low-rank adapters of embeddings are computed together, with each other and the base model; of the others,
 * those with the same config and shape share a function that holds the values of one of them.
 */
export class ScoredModels {
  readonly #base: BaseModel;
  readonly #limits: ScoringLimits;
  #built: Built | null = null;
  #attached = 0;
  readonly #shapes: Shapes<Attached>;
  readonly #held = new HeldValues();
  /** In order of the last request, oldest first. */
  readonly #loaded = new Map<string, Loaded>();
  #opening: Promise<unknown> = Promise.resolve();

  constructor(base: BaseModel, limits: ScoringLimits, shapes: Partial<ShapeLimits> = {}) {
    this.#base = base;
    this.#limits = limits;
    this.#shapes = new Shapes(() => this.#free(), shapes);
  }

  /** Number of adapter shapes for which the program has functions. */
  get shapes(): number {
    return this.#shapes.size;
  }

  /**
   * `adapter`: its folder; null: the plain base model. Throws `unsupported_task` for a model of another kind, `adapter_shapes_full`, and the
   * errors of `readFittingAdapter` and `loadWeights`.
   */
  async use(adapter: string | null, task: ScoreTask, team = ''): Promise<ScoredModel> {
    const key = JSON.stringify([adapter, adapter === null && task]);
    for (;;) {
      const end = await this.#shapes.enter(team, () => this.#loaded.has(key));
      try {
        const loaded = this.#loaded.get(key) ?? (await this.#find(key, { adapter, task, team }));
        if ((loaded.kind === 'embedding') !== (task === 'embed'))
          throw otherTask(taskOfKind[loaded.kind], task);
        return this.#scored(key, loaded, team, end);
      } catch (error) {
        end();
        if (!(error instanceof ShapesFull)) throw error;
        await this.#shapes.waitForCapacity(team);
      }
    }
  }

  #scored(key: string, loaded: Loaded, team: string, end: () => void): ScoredModel {
    this.#loaded.delete(key);
    this.#loaded.set(key, loaded);
    if (loaded.updates) void this.#built?.shared?.then(({ arena }) => arena.touch(loaded.updates!));
    count(loaded, 1);
    const { attached, values, users: _, ...model } = loaded;
    let isReleased = false;
    return {
      ...model,
      run: attached.run,
      // Other adapters of the same shape have different values.
      key: values ? loaded : attached,
      ready: async () => {
        if (!values || attached.holds === loaded) return;
        attached.holds = null;
        // The request may end meanwhile.
        const written = this.#shapes.hold(team);
        try {
          await this.#built!.program.write([[attached.model.adapter!.name, values.vector()]]);
        } finally {
          written();
        }
        attached.holds = loaded;
      },
      release: () => {
        if (isReleased) return;
        isReleased = true;
        count(loaded, -1);
        end();
        this.#forgetIdle();
      },
    };
  }

  async close(): Promise<void> {
    this.#shapes.close(new Error('the scorer was closed'));
    await this.#opening.catch(() => null);
    this.#free();
  }

  #free(): void {
    this.#built?.program.close();
    this.#built = null;
    this.#loaded.clear();
  }

  /** Loads one model after another, since each adds to the program. */
  async #find(
    key: string,
    asked: { adapter: string | null; task: ScoreTask; team: string },
  ): Promise<Loaded> {
    const opened = this.#opening
      .catch(() => null)
      .then(async () => this.#loaded.get(key) ?? (await this.#open(asked)));
    this.#opening = opened;
    const loaded = held(await opened);
    this.#loaded.set(key, loaded);
    return loaded;
  }

  async #open({
    adapter: dir,
    task,
    team,
  }: {
    adapter: string | null;
    task: ScoreTask;
    team: string;
  }): Promise<Loaded> {
    if (dir === null) return await this.#openBase(task);
    const { adapter, architecture } = await readFittingAdapter(this.#base, dir);
    const { config } = adapter;
    await checkScoreTask(this.#base, config.task_type, task);
    const labels = adapterLabels(this.#base, adapter);
    const leading = leadingPositions(config);
    const { sentencePrompts } = adapter;
    const model = await this.#modelOf(architecture, labels, leading, sentencePrompts);
    const { severalLabels } = adapter;
    const built = this.#program();
    const together = await this.#place(built, adapter, architecture, model);
    if (together) return { ...model, ...together, severalLabels, values: null, users: 0 };
    const shape = JSON.stringify([config, [...adapter.tensors].map(([name, { shape }]) => [name, shape])]);
    const attached = await this.#shapes.attached(shape, team, () =>
      this.#attach(built, architecture, model, config),
    );
    const values = attached.model.adapter ? this.#held.hold(attached.model, adapter.tensors) : null;
    return { ...model, severalLabels, attached, values, updates: null, users: 0 };
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
    const built = this.#program();
    const shared = task === 'embed' ? await this.#shared(built, architecture, model) : null;
    const attached = shared?.attached ?? (await this.#attach(built, architecture, model, null));
    return { ...model, severalLabels, attached, values: null, updates: null, users: 0 };
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

  #program(): Built {
    if (this.#built) return this.#built;
    const builder = new ProgramBuilder();
    const program = builder.build();
    const weights = new SharedWeights(builder, program, this.#base, this.#storage());
    this.#built = { builder, program, weights, shared: null };
    return this.#built;
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
    return { model, run, holds: null };
  }

  /** The plain base model with each row's own update; null if positions cannot be computed as a list. */
  async #shared(
    built: Built,
    architecture: Architecture,
    model: Pick<Model, 'rows' | 'longest' | 'virtualTokens'>,
  ) {
    if (!usesLists(architecture, 0)) return null;
    built.shared ??= (async () => {
      const arena = new AdapterArena(
        built.builder,
        built.program,
        architecture,
        this.#limits.updateBytes / 4,
      );
      await arena.clear(built.program);
      return { arena, attached: await this.#attach(built, architecture, model, null, arena) };
    })();
    return await built.shared;
  }

  /** Places an adapter of embeddings among the shared updates; null if it has more than low-rank updates, or if memory is insufficient. */
  async #place(
    built: Built,
    adapter: Adapter,
    architecture: Architecture,
    model: Omit<Model, 'severalLabels'>,
  ): Promise<{ attached: Attached; updates: PlacedUpdates } | null> {
    if (model.kind !== 'embedding') return null;
    const config = withoutDropout(adapter.config);
    const attachment = attach(config, architecture, 'folded');
    if (!isLowRankAlone(attachment)) return null;
    const shared = await this.#shared(built, architecture, model);
    if (!shared) return null;
    const faults = adapterFaults(config, attachment.parameters, adapter.tensors, attachment.copies);
    if (faults.length > 0) throw mismatch(faults);
    const keyOf = keysOf(config);
    const updates = shared.arena.place(
      attachment.lowRank!,
      (name) => adapter.tensors.get(keyOf(name))!,
      (gone) => this.#forget(gone),
    );
    return updates && { attached: shared.attached, updates };
  }

  #forget(updates: PlacedUpdates): void {
    for (const [key, loaded] of this.#loaded) if (loaded.updates === updates) this.#loaded.delete(key);
  }

  /** Drops unused adapters with values on the host; adapters in the arena are evicted there. */
  #forgetIdle(): void {
    const idle = [...this.#loaded].filter(([, { users, values }]) => users === 0 && values !== null);
    for (const [key] of idle.slice(0, Math.max(0, idle.length - MAX_IDLE))) this.#loaded.delete(key);
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
const taskOfKind = { embedding: 'FEATURE_EXTRACTION', text: 'SEQ_CLS', words: 'TOKEN_CLS' } as const;

function count(loaded: Loaded, users: number): void {
  loaded.users += users;
  if (loaded.updates) loaded.updates.users += users;
}

/** Keeps it in use until the next turn of the event loop, when its callers have it, so that its memory is not reused before. */
function held(loaded: Loaded): Loaded {
  count(loaded, 1);
  setImmediate(() => count(loaded, -1));
  return loaded;
}
