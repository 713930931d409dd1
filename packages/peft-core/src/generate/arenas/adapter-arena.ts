import { attr, type Program, type ProgramBuilder, type tf, type Variable } from '@graft/tf-graph';
import type { HostTensor } from '../../files.ts';
import type { Architecture, ModelRuntime } from '../../models/architecture.ts';
import { transpose } from '../../tensors/transpose.ts';
import type { LowRankUpdate } from '../../tuners/tuner.ts';
import { type PlacedAdapter, type PlacedRange, Ranges, type UpdateArena } from './update-arena.ts';

/** Number of values per write; pieces of the arena are multiples of it. */
const CHUNK = 1 << 16;

export interface PlacedUpdates extends PlacedRange {
  /** `(modules, 3)`: offset of A `(rank, in)`, offset of Bᵀ `(rank, out)`, and rank for each linear module; 0 without update. */
  readonly places: Int32Array;
  /** `(modules)`. */
  readonly scales: Float32Array;
}

/** Inputs of a function that applies updates: each row's adapter (−1 for none), and the places and scales of those adapters. */
export interface RowAdapters {
  owners: tf.Tensor;
  places: tf.Tensor;
  scales: tf.Tensor;
}

/**
 * Stores the low-rank updates of many adapters in one variable, so that rows of different adapters are computed together. Unused
 * updates stay until their memory is needed.
 */
export class AdapterArena implements UpdateArena<PlacedUpdates> {
  readonly #modules = new Map<string, { index: number; width: number }>();
  readonly #variable: Variable;
  readonly #capacity: number;
  readonly #write: (begin: number, values: Float32Array) => void;
  readonly #ranges: Ranges<PlacedUpdates>;

  /** `capacity`: number of values. */
  constructor(builder: ProgramBuilder, program: Program, architecture: Architecture, capacity: number) {
    for (const { name, kind, out } of architecture.modules)
      if (kind === 'linear') this.#modules.set(name, { index: this.#modules.size, width: out! });
    this.#capacity = Math.floor(capacity / CHUNK) * CHUNK;
    this.#ranges = new Ranges(this.#capacity);
    const variable = builder.variable({ name: 'updates', shape: [this.#capacity] });
    const write = builder.function(
      'write_updates',
      { begin: { shape: [1], dtype: 'int32' }, values: { shape: [CHUNK], dtype: 'float32' } },
      ({ begin, values }) => {
        variable.assignSlice(begin, values);
        return {};
      },
    );
    builder.extend(program);
    this.#variable = variable;
    this.#write = (begin, values) => program.run(write, { begin: Int32Array.of(begin), values });
  }

  /** Fills the arena with zeros, without taking its memory yet; call once before the first `place`. */
  async clear(program: Program): Promise<void> {
    await program.fill([{ names: [this.#variable.name] }]);
  }

  place(
    updates: ReadonlyMap<string, LowRankUpdate>,
    tensor: (name: string) => HostTensor,
    forget: (gone: PlacedUpdates) => void,
  ): PlacedUpdates | null {
    const places = new Int32Array(this.#modules.size * 3);
    const scales = new Float32Array(this.#modules.size);
    const parts: Float32Array[] = [];
    let size = 0;
    const append = (data: Float32Array): number => {
      parts.push(data);
      size += data.length;
      return size - data.length;
    };
    for (const [module, { a, b, scale }] of updates) {
      const { index } = this.#modules.get(module)!;
      const [down, up] = [tensor(a), tensor(b)];
      places.set([append(down.data), append(transpose(up.data, up.shape)), down.shape[0]!], 3 * index);
      scales[index] = scale;
    }
    const begin = this.#ranges.free(Math.ceil(size / CHUNK) * CHUNK, forget);
    if (begin === null) return null;
    for (let at = 0; at < places.length; at += 3) {
      places[at]! += begin;
      places[at + 1]! += begin;
    }
    const whole = new Float32Array(Math.ceil(size / CHUNK) * CHUNK);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    for (let from = 0; from < whole.length; from += CHUNK)
      this.#write(begin + from, whole.subarray(from, from + CHUNK));
    return this.#ranges.add({ begin, size: whole.length, places, scales, users: 0 });
  }

  touch(placed: PlacedUpdates): void {
    this.#ranges.touch(placed);
  }

  /** Inputs of a function that applies the updates of at most `count` adapters. */
  inputs(count: number) {
    const { size } = this.#modules;
    return {
      places: { shape: [count, size, 3], dtype: 'int32' } as const,
      scales: { shape: [count, size], dtype: 'float32' } as const,
    };
  }

  /** Feeds of these inputs for rows with these updates, and the index of each row's adapter among them; −1 for none. */
  feeds(updates: readonly (PlacedAdapter | null)[], count: number) {
    // Only this arena places adapters of its program.
    const adapters = [...new Set(updates.flatMap((each) => each ?? []))] as PlacedUpdates[];
    const { size } = this.#modules;
    const places = new Int32Array(count * size * 3);
    const scales = new Float32Array(count * size);
    for (const [i, adapter] of adapters.entries()) {
      places.set(adapter.places, i * size * 3);
      scales.set(adapter.scales, i * size);
    }
    const owners = updates.map((each) => (each ? adapters.indexOf(each as PlacedUpdates) : -1));
    return { owners, places, scales };
  }

  /** `runtime` with linear modules that add each row's own update. */
  applied(runtime: ModelRuntime, { owners, places, scales }: RowAdapters): ModelRuntime {
    const updated = (module: string, x: tf.Tensor, y: tf.Tensor): tf.Tensor => {
      const { index, width } = this.#modules.get(module)!;
      const attributes = [attr.ints('modules', [index]), attr.ints('widths', [width])];
      return this.#variable.inPlace('GraftRowUpdates', attributes, [y, x, owners, places, scales])[0]!;
    };
    const linear = (module: string, x: tf.Tensor) => updated(module, x, runtime.linear(module, x));
    return { ...runtime, linear, linears: (modules, x) => modules.map((module) => linear(module, x)) };
  }
}
