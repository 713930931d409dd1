import { otherWriter } from '../base-model/serving-tasks.ts';
import type { BaseModel } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { graphTarget } from '../nn/computation.ts';
import { readFittingAdapter } from '../peft-model/adapter-fit.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import { invocationOf } from '../tuners/methods.ts';
import { loadWeights } from '../weights/load-weights.ts';
import type { AnsweringModel, GenerationProgram } from './answering-program.ts';
import type { PlacedAdapter } from './arenas/update-arena.ts';
import { cardStorage } from './card/card-budget.ts';
import { buildGenerationProgram } from './generation-program.ts';
import { type LoadedModel, LoadedModels, type ModelUse, type ShapeFunctions } from './loaded-models.ts';
import { processorStorage } from './processor-storage.ts';
import type { ShapeLimits } from './shapes.ts';
import type { ServingLimits } from './step.ts';

/** A base model or an adapter on it, in use. */
export interface ServedModel extends Omit<ModelUse<Loaded>, 'loaded'>, AdapterText {
  /** Null: the plain base model. */
  adapter: string | null;
  /** Sequences with the same model are computed together. */
  model: AnsweringModel;
  updates: PlacedAdapter | null;
}

/** What an adapter determines about its prompts. */
interface AdapterText {
  /** Variables of the chat template with which the adapter was trained. */
  templateKwargs: TemplateKwargs;
  /** The adapter's own chat template; null: the base model's. */
  chatTemplate: string | null;
  /** The tokens from whose last occurrence in a prompt on the adapter is active; null: it always is. */
  invocation: readonly number[] | null;
}

interface Attached extends ShapeFunctions {
  model: AnsweringModel;
}

type Loaded = LoadedModel<Attached> & AdapterText;

/**
 * One base model that stays loaded, and the adapters on it, loaded on first use. Low-rank updates are computed together with each other
 * and the base model's own rows; for any other method, or without kernels, adapters with the same config and shape share a model that
 * holds the values of one of them.
 */
export class ServedModels {
  readonly #base: BaseModel;
  readonly #architecture: Architecture;
  readonly #limits: ServingLimits;
  #program: Promise<GenerationProgram> | null = null;
  #built: GenerationProgram | null = null;
  #shared: ReturnType<GenerationProgram['shared']> | null = null;
  readonly #models: LoadedModels<string | null, Attached, Loaded>;

  constructor(
    base: BaseModel,
    architecture: Architecture,
    limits: ServingLimits,
    shapes: Partial<ShapeLimits> = {},
  ) {
    this.#base = base;
    this.#architecture = architecture;
    this.#limits = limits;
    this.#models = new LoadedModels(() => this.#free(), shapes);
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
    this.#program ??= this.#load(trainedOn).catch((error: unknown) => {
      this.#program = null;
      throw error;
    });
    return await this.#program;
  }

  /** null: the plain base model. Throws the errors of readFittingAdapter, `unsupported_task`, and `adapter_shapes_full`. */
  async use(adapter: string | null, team = ''): Promise<ServedModel> {
    const { loaded, ...use } = await this.#models.use(adapter, team, () => this.#open(adapter, team));
    const { attached, values: _values, users: _users, ...others } = loaded;
    return { adapter, model: attached.model, ...others, ...use };
  }

  async close(): Promise<void> {
    this.#models.close(new Error('the generator was closed'));
    await this.#program?.catch(() => null);
    this.#free();
  }

  #free(): void {
    this.#built?.program.close();
    this.#built = null;
    this.#program = null;
    this.#shared = null;
    this.#models.clear();
  }

  async #open(dir: string | null, team: string): Promise<Loaded> {
    const adapter = dir === null ? null : (await readFittingAdapter(this.#base, dir)).adapter;
    if (adapter && adapter.config.task_type !== this.#architecture.task)
      throw otherWriter(adapter.config.task_type, this.#architecture.task);
    const program = await this.program(adapter?.quantised?.base_dtype);
    const { templateKwargs = {}, chatTemplate = null } = adapter ?? {};
    const invocation = adapter && invocationOf(adapter.config);
    const model = { templateKwargs, chatTemplate, invocation, values: null, updates: null, users: 0 };
    if (!adapter) return { ...model, attached: attachedTo(program.attach(null)) };
    const placed = await this.#models.place(adapter, this.#architecture, () => {
      this.#shared ??= program.shared();
      return this.#shared;
    });
    if (placed) return { ...model, attached: attachedTo(placed.shared.model), updates: placed.updates };
    const attach = () => attachedTo(program.attach(adapter.config));
    return { ...model, ...(await this.#models.attached(adapter, team, ({ model }) => model.model, attach)) };
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
      this.#built = program;
      return program;
    } catch (error) {
      program.program.close();
      throw error;
    }
  }
}

const attachedTo = (model: AnsweringModel): Attached => ({
  model,
  write: (values) => model.write(values),
  holds: null,
});
