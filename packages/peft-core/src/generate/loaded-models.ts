import type { Program } from '@graft/tf-graph';
import type { Adapter } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { adapterFaults, mismatch } from '../peft-model/adapter-values.ts';
import { type AdapterInMemory, HeldValues } from '../peft-model/held-values.ts';
import type { PeftModel } from '../peft-model/peft-model.ts';
import { attach, keysOf } from '../tuners/registry.ts';
import type { Attachment } from '../tuners/tuner.ts';
import type { PlacedAdapter, UpdateArena } from './arenas/update-arena.ts';
import { type ShapeLimits, Shapes, ShapesFull } from './shapes.ts';

/** Maximum number of unused adapters whose values are kept. */
const MAX_IDLE = 8;

/** Functions for adapters of one shape, whose variable holds the values of one of them. */
export interface ShapeFunctions {
  model: PeftModel;
  write(values: Float32Array): Promise<void>;
}

/** A base model or an adapter on it, in memory. */
export interface LoadedModel<Functions extends ShapeFunctions, Placed extends PlacedAdapter> {
  attached: Functions;
  /** Values that the variable must have; null: those of the base model alone, or of `updates`. */
  values: AdapterInMemory | null;
  updates: Placed | null;
  users: number;
}

/** The plain base model with a separate update for each row. */
interface Shared<Functions, Placed extends PlacedAdapter> {
  model: Functions;
  arena: UpdateArena<Placed>;
}

export interface ModelUse<Loaded> {
  loaded: Loaded;
  /** Sets the adapter's values, whose variable it shares with others of its shape; call before each step. */
  ready(): Promise<void>;
  release(): void;
}

/**
 * The models on one program, loaded on first use: a base model, and adapters on it. Low-rank updates are placed in an arena, so that rows of
 * several adapters are computed together; other adapters with the same config and shape share functions. With too many shapes the program
 * is dropped, and built again.
 */
export class LoadedModels<
  Key,
  Built extends { program: Pick<Program, 'close'> },
  Functions extends ShapeFunctions,
  Loaded extends LoadedModel<Functions, Placed>,
  Placed extends PlacedAdapter = PlacedAdapter,
> {
  readonly #shapes: Shapes<Functions>;
  readonly #held = new HeldValues();
  /** In order of the last request, oldest first. */
  readonly #loaded = new Map<Key, Loaded>();
  readonly #loading = new Map<Key, Promise<Loaded>>();
  /** The loaded model whose values the functions' variable has. */
  readonly #holds = new Map<Functions, Loaded>();
  #program: Promise<Built> | null = null;
  #built: Built | null = null;
  #shared: Promise<Shared<Functions, Placed> | null> | null = null;
  #arena: UpdateArena<Placed> | null = null;

  constructor(shapes: Partial<ShapeLimits>) {
    this.#shapes = new Shapes(() => this.#free(), shapes);
  }

  /** Number of adapter shapes for which the program has functions. */
  get shapes(): number {
    return this.#shapes.size;
  }

  /** The program, which `build` builds where there is none. */
  async program(build: () => Promise<Built>): Promise<Built> {
    this.#program ??= build().then(
      (built) => {
        this.#built = built;
        return built;
      },
      (error: unknown) => {
        this.#program = null;
        throw error;
      },
    );
    return await this.#program;
  }

  /** The model for low-rank updates, which `make` makes where there is none; null if it cannot be computed. */
  async shared(
    make: () => Promise<Shared<Functions, Placed> | null>,
  ): Promise<Shared<Functions, Placed> | null> {
    this.#shared ??= make();
    return await this.#shared;
  }

  /** Throws the errors of `open`, which loads the model, and `adapter_shapes_full`. */
  async use(key: Key, team: string, open: () => Promise<Loaded>): Promise<ModelUse<Loaded>> {
    for (;;) {
      const end = await this.#shapes.enter(team, () => this.#loaded.has(key));
      try {
        const loaded = this.#known(key) ?? (await this.#find(key, open));
        return this.#used(loaded, team, end);
      } catch (error) {
        end();
        if (!(error instanceof ShapesFull)) throw error;
        await this.#shapes.waitForCapacity(team);
      }
    }
  }

  #used(loaded: Loaded, team: string, end: () => void): ModelUse<Loaded> {
    const { attached, values, updates } = loaded;
    const count = (users: number) => {
      loaded.users += users;
      if (updates) updates.users += users;
    };
    count(1);
    let isReleased = false;
    return {
      loaded,
      ready: async () => {
        if (!values || this.#holds.get(attached) === loaded) return;
        this.#holds.delete(attached);
        // The request may end meanwhile.
        const written = this.#shapes.hold(team);
        try {
          await attached.write(values.vector());
        } finally {
          written();
        }
        this.#holds.set(attached, loaded);
      },
      release: () => {
        if (isReleased) return;
        isReleased = true;
        count(-1);
        end();
        this.#forgetIdle();
      },
    };
  }

  #known(key: Key): Loaded | undefined {
    const known = this.#loaded.get(key);
    if (!known) return undefined;
    this.#loaded.delete(key);
    this.#loaded.set(key, known);
    if (known.updates) this.#arena?.touch(known.updates);
    return known;
  }

  async #find(key: Key, open: () => Promise<Loaded>): Promise<Loaded> {
    const loading = this.#loading.get(key) ?? open().then(handedOver);
    this.#loading.set(key, loading);
    try {
      const loaded = await loading;
      this.#loaded.set(key, loaded);
      return loaded;
    } finally {
      this.#loading.delete(key);
    }
  }

  /**
   * Loads an adapter: to the model of `shared`, if it consists of low-rank updates for which there is memory; else to the functions for
   * adapters of its shape, which the first of them attaches. Throws ShapesFull.
   */
  async load(
    adapter: Adapter,
    architecture: Architecture,
    team: string,
    shared: (() => Promise<Shared<Functions, Placed> | null>) | null,
    attach: () => Functions | Promise<Functions>,
  ): Promise<LoadedModel<Functions, Placed>> {
    const placed = shared && (await this.#place(adapter, architecture, shared));
    if (placed) return placed;
    const { config, tensors } = adapter;
    const shape = JSON.stringify([config, [...tensors].map(([name, { shape }]) => [name, shape])]);
    const attached = await this.#shapes.attached(shape, team, attach);
    const { model } = attached;
    return alone(attached, model.adapter && this.#held.hold(model, tensors));
  }

  /** Null if the adapter has more than low-rank updates, or if there is too little memory. The updates stay until the next turn of the event loop, by when they are used. */
  async #place(
    adapter: Adapter,
    architecture: Architecture,
    make: () => Promise<Shared<Functions, Placed> | null>,
  ): Promise<LoadedModel<Functions, Placed> | null> {
    const config = withoutDropout(adapter.config);
    const attachment = attach(config, architecture, 'folded');
    if (!isLowRankAlone(attachment)) return null;
    const shared = await this.shared(make);
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
    return updates && { ...alone(shared.model), updates: handedOver(updates) };
  }

  /** Closes the program. Requests that wait fail with this reason. */
  async close(reason: Error): Promise<void> {
    this.#shapes.close(reason);
    // Models that are still loading add to the program.
    await Promise.allSettled([this.#program, ...this.#loading.values()]);
    this.#free();
  }

  #free(): void {
    this.#built?.program.close();
    this.#built = null;
    this.#program = null;
    this.#shared = null;
    this.#arena = null;
    this.#loaded.clear();
    this.#holds.clear();
  }

  #forget(updates: PlacedAdapter): void {
    for (const [key, loaded] of this.#loaded) if (loaded.updates === updates) this.#loaded.delete(key);
  }

  /** Drops unused adapters with values on the host; adapters in the arena are evicted there. */
  #forgetIdle(): void {
    const idle = [...this.#loaded].filter(([, { users, values }]) => users === 0 && values !== null);
    for (const [key] of idle.slice(0, Math.max(0, idle.length - MAX_IDLE))) this.#loaded.delete(key);
  }
}

/** A model whose functions compute it alone, with `values` in their variable. */
export const alone = <Functions extends ShapeFunctions>(
  attached: Functions,
  values: AdapterInMemory | null = null,
) => ({ attached, values, updates: null, users: 0 });

/** Keeps it in use until the next turn of the event loop, when its callers have it, so that its memory is not reused before. */
function handedOver<T extends { users: number }>(it: T): T {
  it.users++;
  setImmediate(() => it.users--);
  return it;
}

/** Answers have no dropout, so the dropout of training does not matter. */
function withoutDropout(config: Adapter['config']): Adapter['config'] {
  const options = Object.entries(config).map(([name, value]) => [name, /_dropout$/.test(name) ? 0 : value]);
  return Object.fromEntries(options) as Adapter['config'];
}

/** Checks whether the adapter consists only of low-rank updates of linear modules. */
function isLowRankAlone(attachment: Attachment): boolean {
  const { lowRank, linears, embeddings, replacements, residualAdds, virtualTokens = 0, prefix } = attachment;
  const changes = [attachment.experts, embeddings, replacements, residualAdds].some(
    (changed) => (changed?.size ?? 0) > 0,
  );
  const all = (lowRank?.size ?? 0) > 0 && lowRank?.size === linears?.size;
  return all && !changes && virtualTokens === 0 && !prefix;
}
