import { otherWriter } from '../base-model/serving-tasks.ts';
import type { Adapter, BaseModel } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { graphTarget } from '../nn/computation.ts';
import { readFittingAdapter } from '../peft-model/adapter-fit.ts';
import { adapterFaults, mismatch } from '../peft-model/adapter-values.ts';
import { type AdapterInMemory, HeldValues } from '../peft-model/held-values.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import { invocationOf } from '../tuners/methods.ts';
import { attach, keysOf } from '../tuners/registry.ts';
import type { Attachment } from '../tuners/tuner.ts';
import { loadWeights } from '../weights/load-weights.ts';
import type { AnsweringModel, GenerationProgram } from './answering-program.ts';
import type { PlacedAdapter, UpdateArena } from './arenas/update-arena.ts';
import { cardStorage } from './card/card-budget.ts';
import { buildGenerationProgram } from './generation-program.ts';
import { processorStorage } from './processor-storage.ts';
import { type ShapeLimits, Shapes, ShapesFull } from './shapes.ts';
import type { ServingLimits } from './step.ts';

/** Maximum number of unused adapters whose values are kept. */
const MAX_IDLE = 8;

/** A base model or an adapter on it, in use. */
export interface ServedModel {
  /** Null: the plain base model. */
  adapter: string | null;
  /** Sequences with the same model are computed together. */
  model: AnsweringModel;
  updates: PlacedAdapter | null;
  /** Variables of the chat template with which the adapter was trained. */
  templateKwargs: TemplateKwargs;
  /** The adapter's own chat template; null: the base model's. */
  chatTemplate: string | null;
  /** The tokens from whose last occurrence in a prompt on the adapter is active; null: it always is. */
  invocation: readonly number[] | null;
  /** Sets the adapter's values, whose variable it shares with others of its shape; call before each step. */
  ready(): Promise<void>;
  /** Ends the use by this sequence. */
  release(): void;
}

interface Loaded {
  attached: { model: AnsweringModel; holds: string | null };
  updates: PlacedAdapter | null;
  values: AdapterInMemory | null;
  templateKwargs: TemplateKwargs;
  chatTemplate: string | null;
  invocation: readonly number[] | null;
  users: number;
}

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
  #arena: UpdateArena | null = null;
  readonly #shapes: Shapes<Loaded['attached']>;
  readonly #held = new HeldValues();
  /** In order of the last request, oldest first. */
  readonly #loaded = new Map<string | null, Loaded>();
  readonly #loading = new Map<string | null, Promise<Loaded>>();

  constructor(
    base: BaseModel,
    architecture: Architecture,
    limits: ServingLimits,
    shapes: Partial<ShapeLimits> = {},
  ) {
    this.#base = base;
    this.#architecture = architecture;
    this.#limits = limits;
    this.#shapes = new Shapes(() => this.#free(), shapes);
  }

  /** Number of adapter shapes for which the program has functions. */
  get shapes(): number {
    return this.#shapes.size;
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
    for (;;) {
      const end = await this.#shapes.enter(team, () => this.#loaded.has(adapter));
      try {
        const loaded = this.#known(adapter) ?? (await this.#find(adapter, team));
        return this.#served(adapter, team, loaded, end);
      } catch (error) {
        end();
        if (!(error instanceof ShapesFull)) throw error;
        await this.#shapes.waitForCapacity(team);
      }
    }
  }

  #served(adapter: string | null, team: string, loaded: Loaded, end: () => void): ServedModel {
    count(loaded, 1);
    const { attached, updates, values, templateKwargs, chatTemplate, invocation } = loaded;
    let released = false;
    return {
      adapter,
      updates,
      templateKwargs,
      chatTemplate,
      invocation,
      model: attached.model,
      ready: async () => {
        if (!values || attached.holds === adapter) return;
        attached.holds = null;
        // The request may end meanwhile.
        const written = this.#shapes.hold(team);
        try {
          await attached.model.write(values.vector());
        } finally {
          written();
        }
        attached.holds = adapter;
      },
      release: () => {
        if (released) return;
        released = true;
        count(loaded, -1);
        end();
        this.#forgetIdle();
      },
    };
  }

  async close(): Promise<void> {
    this.#shapes.close(new Error('the generator was closed'));
    await this.#program?.catch(() => null);
    this.#free();
  }

  #free(): void {
    this.#built?.program.close();
    this.#built = null;
    this.#program = null;
    this.#shared = null;
    this.#arena = null;
    this.#loaded.clear();
  }

  #known(adapter: string | null): Loaded | undefined {
    const known = this.#loaded.get(adapter);
    if (!known) return undefined;
    this.#loaded.delete(adapter);
    this.#loaded.set(adapter, known);
    if (known.updates) this.#arena?.touch(known.updates);
    return known;
  }

  async #find(adapter: string | null, team: string): Promise<Loaded> {
    const loading = this.#loading.get(adapter) ?? this.#open(adapter, team);
    this.#loading.set(adapter, loading);
    try {
      const loaded = await loading;
      this.#loaded.set(adapter, loaded);
      return loaded;
    } finally {
      this.#loading.delete(adapter);
    }
  }

  async #open(dir: string | null, team: string): Promise<Loaded> {
    const adapter = dir === null ? null : (await readFittingAdapter(this.#base, dir)).adapter;
    if (adapter && adapter.config.task_type !== this.#architecture.task)
      throw otherWriter(adapter.config.task_type, this.#architecture.task);
    const program = await this.program(adapter?.quantised?.base_dtype);
    const together = adapter && (await this.#place(program, dir, adapter));
    if (together) return together;
    const attach = () => ({ model: program.attach(adapter?.config ?? null), holds: null });
    const attached = adapter ? await this.#shapes.attached(shapeOf(adapter), team, attach) : attach();
    const values = adapter && this.#held.hold(attached.model.model, adapter.tensors);
    const { templateKwargs = {}, chatTemplate = null } = adapter ?? {};
    const invocation = adapter && invocationOf(adapter.config);
    return held({ attached, values, templateKwargs, chatTemplate, invocation, updates: null, users: 0 });
  }

  /** Places the adapter among the shared updates; null if it has more than low-rank updates, or if memory is insufficient. */
  async #place(program: GenerationProgram, dir: string | null, adapter: Adapter): Promise<Loaded | null> {
    const config = withoutDropout(adapter.config);
    const attachment = attach(config, this.#architecture, 'folded');
    if (!isLowRankAlone(attachment)) return null;
    this.#shared ??= program.shared();
    const shared = await this.#shared;
    if (!shared) return null;
    this.#arena = shared.arena;
    const faults = adapterFaults(config, attachment.parameters, adapter.tensors, attachment.copies);
    if (faults.length > 0) throw mismatch(faults);
    const keyOf = keysOf(config);
    const updates = shared.arena.place(
      attachment.lowRank!,
      (name) => adapter.tensors.get(keyOf(name))!,
      (gone) => this.#forget(gone),
    );
    if (!updates) return null;
    const { templateKwargs, chatTemplate } = adapter;
    const attached = { model: shared.model, holds: dir };
    const invocation = invocationOf(config);
    return held({ attached, updates, templateKwargs, chatTemplate, invocation, values: null, users: 0 });
  }

  #forget(updates: PlacedAdapter): void {
    for (const [adapter, loaded] of this.#loaded)
      if (loaded.updates === updates) this.#loaded.delete(adapter);
  }

  /** Drops unused adapters with values on the host; adapters in the arena are evicted there. */
  #forgetIdle(): void {
    const idle = [...this.#loaded].filter(([, { users, values }]) => users === 0 && values !== null);
    for (const [adapter] of idle.slice(0, Math.max(0, idle.length - MAX_IDLE))) this.#loaded.delete(adapter);
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

function shapeOf({ config, tensors }: Adapter): string {
  return JSON.stringify([config, [...tensors].map(([name, { shape }]) => [name, shape])]);
}

/** Answers have no dropout, so the dropout of training does not matter. */
export function withoutDropout(config: Adapter['config']): Adapter['config'] {
  const options = Object.entries(config).map(([name, value]) => [name, /_dropout$/.test(name) ? 0 : value]);
  return Object.fromEntries(options) as Adapter['config'];
}

/** Whether the adapter consists only of low-rank updates of linear modules. */
export function isLowRankAlone(attachment: Attachment): boolean {
  const { lowRank, linears, embeddings, replacements, residualAdds, virtualTokens = 0, prefix } = attachment;
  const changes = [attachment.experts, embeddings, replacements, residualAdds].some(
    (changed) => (changed?.size ?? 0) > 0,
  );
  const all = (lowRank?.size ?? 0) > 0 && lowRank?.size === linears?.size;
  return all && !changes && virtualTokens === 0 && !prefix;
}
