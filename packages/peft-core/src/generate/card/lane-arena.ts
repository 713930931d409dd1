import {
  attr,
  cast,
  type Program,
  type ProgramBuilder,
  type ProgramFunction,
  rawOp,
  storageOf,
  tf,
  type Variable,
} from '@graft/tf-graph';
import type { HostTensor } from '../../files.ts';
import type { Architecture, ModelRuntime } from '../../models/architecture.ts';
import { exactly, flowing } from '../../nn/computation.ts';
import type { LowRankUpdate } from '../../tuners/tuner.ts';
import { type PlacedRange, Ranges, type UpdateArena } from '../arenas/update-arena.ts';
import { clear } from './card-cache.ts';

/** Number of lanes per write; an adapter occupies a multiple of it. */
const CHUNK = 8;

/** The largest bfloat16 number: larger ones would be rounded to infinity, and 0 times infinity is NaN in other adapters' rows. */
const LARGEST = 3.3895313892515355e38;

/** Place of an adapter's updates: in every module as many lanes as its largest rank. */
export type PlacedLanes = PlacedRange;

/** Inputs of a function that applies updates to its rows. */
export interface RowLanes {
  /** `(N)` float32: the index of each row's adapter, −1 for none. */
  owners: tf.Tensor;
  /** `(L)` int32: the lanes of a run's adapters; and the index of each lane's adapter as float32, −2 for unused entries. */
  lanes: tf.Tensor;
  laneOwners: tf.Tensor;
}

interface Module {
  /** `(lanes, in)`. */
  a: Variable;
  /** `(lanes, out)`, scaled. */
  b: Variable;
}

/**
 * Stores the low-rank updates of many adapters in GPU memory: a lane is a row of A and a column of B of every linear module.
 * Rows of different adapters are computed together: every row is multiplied by the lanes of all adapters in a run, and only the products
 * with its own adapter's lanes are kept. So each module needs two products, however many adapters there are.
 */
export class LaneArena implements UpdateArena<PlacedLanes> {
  readonly #modules = new Map<string, Module>();
  readonly #lanes: number;
  readonly #write: (feeds: Record<string, Int32Array | Float32Array>) => void;
  readonly #sizes: [name: string, inputs: number, outputs: number][];
  readonly #ranges: Ranges<PlacedLanes>;

  constructor(
    builder: ProgramBuilder,
    program: Program,
    architecture: Architecture,
    { bytes, dtype }: { bytes: number; dtype: 'float32' | 'bfloat16' },
  ) {
    this.#sizes = linearSizes(architecture);
    this.#lanes = Math.floor(bytes / bytesOfLane(architecture, dtype) / CHUNK) * CHUNK;
    this.#ranges = new Ranges(this.#lanes);
    for (const [name, inputs, outputs] of this.#sizes) {
      const variable = (factor: string, width: number) =>
        builder.variable({
          name: `updates.${name}.${factor}`,
          shape: [Math.max(1, this.#lanes), width],
          dtype,
        });
      this.#modules.set(name, { a: variable('a', inputs), b: variable('b', outputs) });
    }
    const variables = [...this.#modules.values()].flatMap(({ a, b }) => [a, b]);
    const empty = builder.function('clear_updates', {}, () => {
      for (const variable of variables) clear(variable);
      return {};
    });
    const specs = this.#sizes.flatMap(([, inputs, outputs], i) => [
      [`a${i}`, { shape: [CHUNK, inputs], dtype: 'float32' } as const] as const,
      [`b${i}`, { shape: [CHUNK, outputs], dtype: 'float32' } as const] as const,
    ]);
    const inputs = { lanes: { shape: [CHUNK], dtype: 'int32' } as const, ...Object.fromEntries(specs) };
    const write = builder.function('write_updates', inputs, ({ lanes, ...given }) => {
      for (const [i, { a, b }] of [...this.#modules.values()].entries()) {
        const within = (x: tf.Tensor) => tf.clipByValue(x, -LARGEST, LARGEST);
        a.assignRows(lanes, within((given as Record<string, tf.Tensor>)[`a${i}`]!));
        b.assignRows(lanes, within((given as Record<string, tf.Tensor>)[`b${i}`]!));
      }
      return {};
    });
    builder.extend(program);
    program.run(empty, {});
    this.#write = (feeds) => void program.run(write as ProgramFunction, feeds);
  }

  get lanes(): number {
    return this.#lanes;
  }

  place(
    updates: ReadonlyMap<string, LowRankUpdate>,
    tensor: (name: string) => HostTensor,
    forget: (gone: PlacedLanes) => void,
  ): PlacedLanes | null {
    const found = new Map(
      [...updates].map(([module, { a, b, scale }]) => [module, { a: tensor(a), b: tensor(b), scale }]),
    );
    const rank = Math.max(...[...found.values()].map(({ a }) => a.shape[0]!));
    const size = Math.ceil(rank / CHUNK) * CHUNK;
    const begin = this.#ranges.free(size, forget);
    if (begin === null) return null;
    for (let from = 0; from < size; from += CHUNK) {
      const feeds: Record<string, Int32Array | Float32Array> = {
        lanes: Int32Array.from({ length: CHUNK }, (_, i) => begin + from + i),
      };
      for (const [i, [name, inputs, outputs]] of this.#sizes.entries()) {
        const [a, b] = [new Float32Array(CHUNK * inputs), new Float32Array(CHUNK * outputs)];
        const update = found.get(name);
        const count = update ? Math.max(0, Math.min(CHUNK, update.a.shape[0]! - from)) : 0;
        if (update) a.set(update.a.data.subarray(from * inputs, (from + count) * inputs));
        for (let lane = 0; update && lane < count; lane++)
          for (let out = 0; out < outputs; out++)
            b[lane * outputs + out] = update.scale * update.b.data[out * update.a.shape[0]! + from + lane]!;
        feeds[`a${i}`] = a;
        feeds[`b${i}`] = b;
      }
      this.#write(feeds);
    }
    return this.#ranges.add({ begin, size, users: 0 });
  }

  touch(placed: PlacedLanes): void {
    this.#ranges.touch(placed);
  }

  /** `runtime` with linear modules that add each row's own update. */
  applied(runtime: ModelRuntime, { owners, lanes, laneOwners }: RowLanes): ModelRuntime {
    const isOwn = tf.equal(tf.expandDims(owners, -1), tf.expandDims(laneOwners, 0)); // (N, L)
    const linear = (module: string, x: tf.Tensor): tf.Tensor => {
      const y = runtime.linear(module, x);
      const lanesOf = this.#modules.get(module);
      // No adapter changes a router, which is no linear module of transformers.
      if (!lanesOf) return y;
      const { a, b } = lanesOf;
      const down = product(x, a.gather(lanes, { stored: true, partlyWritten: true }), true); // (N, L)
      // Selected instead of multiplied by 0, since another adapter's product may be infinite.
      const own = rawOp('SelectV2', [], [isOwn, down, tf.scalar(0)])[0]!;
      const update = product(own, b.gather(lanes, { stored: true, partlyWritten: true }), false);
      return flowing(tf.add(exactly(y), exactly(update)));
    };
    return { ...runtime, linear, linears: (modules, x) => modules.map((module) => linear(module, x)) };
  }
}

/** The product of x with lanes, in the storage type of the lanes. */
function product(x: tf.Tensor, lanes: tf.Tensor, transposed: boolean): tf.Tensor {
  const attrs = [attr.bool('adj_x', false), attr.bool('adj_y', transposed)];
  return rawOp('BatchMatMulV2', attrs, [cast(x, storageOf(lanes)), lanes])[0]!;
}

function linearSizes({ modules }: Pick<Architecture, 'modules'>): [string, number, number][] {
  return modules.flatMap(({ name, kind, in: inputs, out }) =>
    kind === 'linear' ? [[name, inputs!, out!] as [string, number, number]] : [],
  );
}

export const bytesOfLane = (outline: Pick<Architecture, 'modules'>, dtype: 'float32' | 'bfloat16'): number =>
  linearSizes(outline).reduce((sum, [, inputs, outputs]) => sum + inputs + outputs, 0) *
  (dtype === 'float32' ? 4 : 2);
