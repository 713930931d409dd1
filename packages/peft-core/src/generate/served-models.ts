import { ProgramBuilder, tf, usesGraftKernels } from '@graft/tf-graph';
import { otherWriter } from '../base-model/serving-tasks.ts';
import type { PeftConfig } from '../config/index.ts';
import type { BaseModel } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { graphTarget } from '../nn/computation.ts';
import { attentionOf, keysAndValuesWidth, layersOf, storedName } from '../outlines/outline.ts';
import { readFittingAdapter } from '../peft-model/adapter-fit.ts';
import { attachAdapter } from '../peft-model/peft-model.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import { isExactInBfloat16 } from '../tensors/tensor-source.ts';
import { invocationOf } from '../tuners/methods.ts';
import { type BaseStorage, baseStorage, storedWeights } from '../weights/base-storage.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { declareWeights } from '../weights/stored-weights.ts';
import type { AnsweringModel, GenerationProgram } from './answering-program.ts';
import { AdapterArena } from './arenas/adapter-arena.ts';
import type { PlacedAdapter } from './arenas/update-arena.ts';
import { BLOCK, RESERVED } from './block-pool.ts';
import { cardBudget, cardStorage } from './card/card-budget.ts';
import { buildCardProgram } from './card/card-program.ts';
import { gridFunctions } from './grid-functions.ts';
import { listFunctions } from './list-functions.ts';
import { alone, type LoadedModel, LoadedModels, type ModelUse } from './loaded-models.ts';
import type { ShapeLimits } from './shapes.ts';
import { declareStates, sequencesWithState } from './states/recurrent-states.ts';
import { type CacheAccess, type ServingLimits, traceForServing } from './step.ts';

/** A base model or an adapter on it, in use. */
export interface ServedModel extends Omit<ModelUse<Loaded>, 'loaded'>, AdapterText {
  /** Null: the plain base model. */
  adapter: string | null;
  /** Sequences with the same model are computed together. */
  model: AnsweringModel;
  updates: PlacedAdapter | null;
}

/** Properties of prompts that an adapter determines. */
interface AdapterText {
  /** Variables of the chat template with which the adapter was trained. */
  templateKwargs: TemplateKwargs;
  /** The adapter's own chat template; null: the base model's. */
  chatTemplate: string | null;
  /** The tokens from whose last occurrence in a prompt on the adapter is active; null: it always is. */
  invocation: readonly number[] | null;
}

type Loaded = LoadedModel<AnsweringModel, PlacedAdapter> & AdapterText;

/**
 * One base model that stays loaded, and the adapters on it, loaded on first use. Low-rank updates are computed together with each other
 * and the base model's own rows; for any other method, or without kernels, adapters with the same config and shape share a model that
 * holds the values of one of them.
 */
export class ServedModels {
  readonly #base: BaseModel;
  readonly #architecture: Architecture;
  readonly #limits: ServingLimits;
  readonly #models: LoadedModels<string | null, GenerationProgram, AnsweringModel, Loaded>;

  constructor(
    base: BaseModel,
    architecture: Architecture,
    limits: ServingLimits,
    shapes: Partial<ShapeLimits> = {},
  ) {
    this.#base = base;
    this.#architecture = architecture;
    this.#limits = limits;
    this.#models = new LoadedModels(shapes);
  }

  /** Number of adapter shapes for which the program has functions. */
  get shapes(): number {
    return this.#models.shapes;
  }

  /**
   * The program, with an empty cache after it was rebuilt. `trainedOn`: the base's storage type in the training of the first requested
   * adapter. Throws `model_too_large` if the GPU has too little memory for it.
   */
  async program(trainedOn: 'int8' | 'nf4' | null = null): Promise<GenerationProgram> {
    return await this.#models.program(() => this.#load(trainedOn));
  }

  /** null: the plain base model. Throws the errors of readFittingAdapter, `unsupported_task`, and `adapter_shapes_full`. */
  async use(adapter: string | null, team = ''): Promise<ServedModel> {
    const { loaded, ...use } = await this.#models.use(adapter, team, () => this.#open(adapter, team));
    const { attached: model, values: _values, users: _users, ...others } = loaded;
    return { adapter, model, ...others, ...use };
  }

  async close(): Promise<void> {
    await this.#models.close(new Error('the generator was closed'));
  }

  async #open(dir: string | null, team: string): Promise<Loaded> {
    const adapter = dir === null ? null : (await readFittingAdapter(this.#base, dir)).adapter;
    if (adapter && adapter.config.task_type !== this.#architecture.task)
      throw otherWriter(adapter.config.task_type, this.#architecture.task);
    const program = await this.program(adapter?.quantised?.base_dtype);
    const { templateKwargs = {}, chatTemplate = null } = adapter ?? {};
    const text = { templateKwargs, chatTemplate, invocation: adapter && invocationOf(adapter.config) };
    if (!adapter) return { ...text, ...alone(program.attach(null)) };
    const attach = () => program.attach(adapter.config);
    return {
      ...text,
      ...(await this.#models.load(adapter, this.#architecture, team, program.shared, attach)),
    };
  }

  async #load(trainedOn: 'int8' | 'nf4' | null): Promise<GenerationProgram> {
    const storage =
      graphTarget() === 'gpu'
        ? cardStorage(this.#architecture, this.#limits, trainedOn)
        : processorStorage(this.#base, this.#architecture, this.#limits);
    const program = buildGenerationProgram(this.#architecture, this.#limits, storage);
    try {
      await loadWeights(program.program, this.#base, this.#architecture, storage, { withHead: true });
      await program.clear();
      return program;
    } catch (error) {
      program.program.close();
      throw error;
    }
  }
}

/**
 * Storage type of the base on a CPU: `limits.baseDtype`; with "auto" bfloat16 where the model's files hold bfloat16, which changes no
 * value and halves what a step reads, else float32.
 */
function processorStorage(
  base: BaseModel,
  architecture: Architecture,
  { baseDtype = 'auto' }: ServingLimits,
): BaseStorage {
  if (baseDtype !== 'auto') return baseStorage(baseDtype, 'fp32');
  return readsBfloat16(architecture) && holdsBfloat16(base, architecture) ? 'bfloat16' : 'float32';
}

/** Checks whether kernels multiply by every matrix as it is stored. Others would be converted as a whole in every step. */
function readsBfloat16({ modules, parameters }: Architecture): boolean {
  const matrices = parameters.every(({ experts }) => !experts);
  return usesGraftKernels() && matrices && modules.every(({ transposed }) => !transposed);
}

function holdsBfloat16({ tensors }: BaseModel, architecture: Architecture): boolean {
  const stored = storedWeights(architecture, 'bfloat16', true);
  return stored
    .filter(({ storage }) => storage === 'bfloat16')
    .every(({ name }) => {
      const source = storedName(architecture, name, tensors);
      return source === undefined || isExactInBfloat16(tensors.info(source).dtype);
    });
}

/**
 * Maximum number of prompt positions in a step: more would delay the answers in progress. Of 32, 64, 96 and 128, this value gave the
 * most tokens per second and the earliest first tokens in bench:serving.
 */
const PROMPT_POSITIONS = 96;

/**
 * Number of positions of a prompt that a step computes for a model with recurrent layers: fixed, so that other sequences do not affect
 * where a prompt is cut.
 */
const STATE_PIECE = 64;

/** The base is stored as `storage`. */
export function buildGenerationProgram(
  architecture: Architecture,
  limits: ServingLimits,
  storage: BaseStorage = 'float32',
): GenerationProgram {
  if (graphTarget() === 'cpu') return buildForProcessor(architecture, limits, storage);
  return buildCardProgram(architecture, limits, storage, cardBudget(architecture, limits, storage));
}

function buildForProcessor(
  architecture: Architecture,
  given: ServingLimits,
  storage: BaseStorage,
): GenerationProgram {
  const recurs = architecture.recurrence !== undefined;
  const limits = { ...given, rows: sequencesWithState(architecture, given) };
  const builder = new ProgramBuilder();
  const weights = declareWeights(builder, architecture, storage, true);
  const blocks = cacheBlocks(architecture, limits);
  const caches = new Map(
    layersOf(architecture).attending.map((layer) => {
      const { kvHeads, headSize } = attentionOf(architecture, layer);
      const shape = [blocks * BLOCK, 2 * kvHeads * headSize];
      return [layer, builder.variable({ name: `cache.${layer}`, shape })];
    }),
  );
  const states = declareStates(builder, architecture, limits.rows);
  const kept = [...caches.values(), ...[...states.values()].flatMap(({ state, inputs }) => [state, inputs])];
  const cache: CacheAccess = {
    trace: (body) => traceForServing(limits, body),
    writeAt: (places) => (layer, keys, values) =>
      caches.get(layer)!.assignRows(places, tf.concat([keys, values], 1)),
  };
  const program = builder.build();
  const usesLists = usesGraftKernels() && !architecture.encoder && !recurs;
  let attached = 0;
  function attach(peft: PeftConfig | null, arena: AdapterArena | null): AnsweringModel {
    const name = `adapter.${attached++}`;
    const model = attachAdapter(builder, architecture, weights, peft, { form: 'folded', name });
    builder.extend(program);
    const parts = { builder, program, name, model, limits, cache, caches, states, arena };
    return {
      model,
      ...(usesLists ? listFunctions(parts) : gridFunctions(parts)),
      async write(values) {
        if (model.adapter) await program.write([[model.adapter.name, values]]);
      },
    };
  }
  return {
    program,
    blocks,
    rows: limits.rows,
    states: recurs ? { sequences: limits.rows, piece: STATE_PIECE } : null,
    promptPositions: PROMPT_POSITIONS,
    clear: () => program.fill(kept.map(({ name }) => ({ names: [name] }))),
    attach: (peft) => attach(peft, null),
    async shared() {
      if (!usesLists) return null;
      const arena = new AdapterArena(builder, program, architecture, limits.updateBytes / 4);
      await arena.clear(program);
      return { arena, model: attach(null, arena) };
    },
  };
}

/** Number of blocks that fit in memory: at least a whole context and its input, and at most what all sequences can use. */
function cacheBlocks(architecture: Architecture, limits: ServingLimits): number {
  const inSequence = Math.ceil(limits.context / BLOCK) * (architecture.encoder ? 2 : 1);
  const bytes = BLOCK * keysAndValuesWidth(architecture) * 4;
  const affordable = bytes === 0 ? Number.POSITIVE_INFINITY : Math.floor(limits.cacheBytes / bytes);
  return RESERVED.count + Math.max(inSequence, Math.min(affordable, inSequence * limits.rows));
}
