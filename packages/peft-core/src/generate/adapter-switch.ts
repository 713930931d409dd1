import { GraftError } from '../errors.ts';
import type { Adapter, BaseModel } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { readFittingAdapter } from '../peft-model/adapter-fit.ts';
import { adapterValues } from '../peft-model/adapter-values.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { type AnsweringModel, buildGenerationProgram, type GenerationProgram } from './generation-program.ts';

/** A session cannot drop functions. With more shapes of adapters than this, the program is built again. */
const MOST_SHAPES = 32;

interface Attached {
  model: AnsweringModel;
  /** Folder of the adapter whose values it holds. */
  adapter: string | null;
}

/**
 * One base model that stays loaded, and the adapters that answer on it. Adapters of one config and shape share a model: switching
 * writes its values. Another config is attached as another model.
 */
export class AdapterSwitch {
  readonly #base: BaseModel;
  readonly #architecture: Architecture;
  readonly #context: number;
  #program: GenerationProgram | null = null;
  readonly #attached = new Map<string, Attached>();
  #current: Attached | null = null;

  constructor(base: BaseModel, architecture: Architecture, context: number) {
    this.#base = base;
    this.#architecture = architecture;
    this.#context = context;
  }

  /** The plain base model for null. Throws what readFittingAdapter does, `unsupported_task`. */
  async use(adapterDir: string | null): Promise<AnsweringModel> {
    if (this.#current && this.#current.adapter === adapterDir) return this.#current.model;
    // When something fails before the end, no model is current.
    this.#current = null;
    const adapter = adapterDir === null ? null : (await readFittingAdapter(this.#base, adapterDir)).adapter;
    const attached = await this.#attach(adapter);
    if (adapter && attached.adapter !== adapterDir) {
      const values = adapterValues(attached.model.model, adapter.tensors);
      attached.adapter = null;
      await attached.model.write(values);
      attached.adapter = adapterDir;
    }
    attached.model.prime();
    this.#current = attached;
    return attached.model;
  }

  close(): void {
    this.#program?.program.close();
    this.#program = null;
    this.#attached.clear();
    this.#current = null;
  }

  async #attach(adapter: Adapter | null): Promise<Attached> {
    const shape = adapter ? shapeOf(adapter) : 'base';
    const known = this.#attached.get(shape);
    if (known) return known;
    if (adapter && adapter.config.task_type !== this.#architecture.task)
      throw new GraftError(
        'unsupported_task',
        `the adapter is for ${adapter.config.task_type}; answers come from adapters for ${this.#architecture.task}`,
        { param: 'adapter' },
      );
    if (this.#attached.size >= MOST_SHAPES) this.close();
    this.#program ??= await this.#load();
    const attached = { model: this.#program.attach(adapter?.config ?? null), adapter: null };
    this.#attached.set(shape, attached);
    return attached;
  }

  async #load(): Promise<GenerationProgram> {
    const program = buildGenerationProgram(this.#architecture, this.#context);
    try {
      await loadWeights(program.program, this.#base, this.#architecture, 'float32', {
        withHead: true,
      });
      await program.clear();
      return program;
    } catch (error) {
      program.program.close();
      throw error;
    }
  }
}

function shapeOf({ config, tensors }: Adapter): string {
  return JSON.stringify([config, [...tensors].map(([name, { shape }]) => [name, shape])]);
}
