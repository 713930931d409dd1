/**
 * Start values from the inputs of the adapted layers (EVA): a forward pass of the base model over the training examples, each at most once,
 * before the first step. Source: Paischer et al. 2024, arXiv:2410.07170; HF PEFT 0.21.2 (eva.py).
 */
import {
  attr,
  type InputSpecs,
  type ProgramFunction,
  rawOp,
  type TypedArray,
  tf,
  withControlDependency,
} from '@graft/tf-graph';
import { GraftError } from '../../errors.ts';
import {
  type BatchPlan,
  type FilledBatch,
  fillBatch,
  layoutOfBase,
  planInputs,
} from '../../examples/index.ts';
import type { ModelRuntime } from '../../models/architecture.ts';
import { withComputation } from '../../nn/computation.ts';
import { takeRows } from '../../nn/rows.ts';
import { attachAdapter } from '../../peft-model/peft-model.ts';
import { Random } from '../../random.ts';
import type { InputPass } from '../../tuners/tuner.ts';
import { batchInputs, feedsOf } from '../objectives/losses.ts';
import { forwardOf } from '../objectives/passes.ts';
import type { TrainingRun } from '../open-run.ts';
import type { RecordOf } from '../records.ts';

/** Modules that read the same input, of which the first is observed. */
interface InputGroup {
  observed: string;
  /** Number of inputs. */
  width: number;
  /** The highest rank of the modules. */
  rank: number;
  modules: { parameter: string; rank: number }[];
}

const PARTS = ['vectors', 'sizes', 'mean', 'spread'] as const;

type Kept = Directions<Float32Array>;
type Update = ProgramFunction<InputSpecs, Record<string, tf.Tensor>>;

/**
 * Sets the start values that come from the inputs of layers. A checkpoint has them, and so do an adapter's files. Throws
 * `data_unfit_for_task` for data with too few positions, and `invalid_peft_config` for inputs from which there are no directions.
 */
export async function* readInputs(run: TrainingRun): AsyncGenerator<RecordOf<'inputs'>> {
  const { model, program } = run.built;
  const pass = model.attachment?.inputs;
  const { initialAdapter, initialParameters } = run.options;
  if (!pass || run.resumedFrom !== null || initialAdapter || initialParameters) return;
  const values = yield* startFromInputs(run, pass);
  const flat = (program.read(['adapter']).get('adapter') as Float32Array).slice();
  const parameters = model.layout.views(flat);
  for (const [name, own] of values) parameters.get(name)!.data.set(own);
  await program.write([['adapter', flat]]);
}

/** Computes the start values of the parameters of `pass`, by name. */
function* startFromInputs(
  run: TrainingRun,
  pass: InputPass,
): Generator<RecordOf<'inputs'>, Map<string, Float32Array>> {
  const { setup, options, built } = run;
  const { objective, computation } = setup;
  const seed = options.training.seed;
  const groups = groupsOf(run, pass);
  const layout = {
    ...setup.layout,
    ...layoutOfBase,
    arrangement: computation.implementation === 'stock' ? ('grid' as const) : ('flat' as const),
  };
  const { plan, examples } = planInputs(setup.data.training, options.training, layout);
  const places = Math.max(
    pass.onlyTargets ? plan.shape.labels : plan.shape.rows * plan.shape.tokens,
    ...groups.map(({ rank }) => 2 * rank),
  );
  const update = built.later<Update>(
    'inputs',
    JSON.stringify([plan.shape, places, groups.map(({ observed, rank }) => [observed, rank])]),
    (name) => declareUpdate(run, groups, plan, places, name),
  );
  const bases = basesOf(groups, seed);
  const kept: Kept[] = groups.map(({ rank, width }) => ({
    vectors: new Float32Array(rank * width),
    sizes: new Float32Array(rank),
    mean: new Float32Array(width),
    spread: new Float32Array(1),
  }));
  const stable = groups.map(({ rank }) => Array<boolean>(rank).fill(false));
  let ranks = groups.map(({ modules }) => modules.map(({ rank }) => rank));
  const isFinal = (g: number) => stable[g]!.slice(0, Math.max(...ranks[g]!)).every(Boolean);
  const areFinal = () => groups.every((_, g) => isFinal(g));
  let seen = 0;
  let done = 0;
  for (let step = 0; step < plan.steps && !areFinal(); step++) {
    const batch = fillBatch(plan, examples, step, 0, layout);
    done += new Set(plan.micro(step, 0).map(({ example }) => example)).size;
    const { positions, counted, count } = positionsOf(batch, pass, places);
    if (count === 0) continue;
    const out = built.program.run(update, {
      ...feedsOf(objective, batch, 1, built.varies),
      input_positions_read: positions,
      input_counted: counted,
      input_seen: Float32Array.of(seen),
      ...bases,
      ...Object.fromEntries(kept.flatMap(feedsOfGroup)),
    } as Record<string, TypedArray>);
    for (const [g, group] of groups.entries()) {
      if (isFinal(g)) continue;
      const next = keptOf(g, group, (name) => out[name]!.data as Float32Array);
      if (seen > 0) stable[g] = areSimilar(kept[g]!, next, group, pass.similarity);
      kept[g] = next;
    }
    seen += count;
    ranks = ranksOf(groups, kept, pass);
    if (step + 1 < plan.steps && !areFinal())
      yield { type: 'inputs', done, of: examples.length, ended: false };
  }
  checkCount(seen, pass, groups);
  yield { type: 'inputs', done, of: examples.length, ended: true };
  return new Map(groups.flatMap((group, g) => valuesOf(group, ranks[g]!, kept[g]!, pass)));
}

/** Modules of a stack of the outline read one input. */
function groupsOf({ setup: { architecture } }: TrainingRun, { modules }: InputPass): InputGroup[] {
  const widths = new Map(architecture.modules.map(({ name, in: width }) => [name, width!]));
  const stacks = new Map(architecture.stacks.flatMap((stack) => stack.map((name) => [name, stack[0]!])));
  const groups = new Map<string, InputGroup>();
  for (const [name, module] of modules) {
    const key = stacks.get(name) ?? name;
    const group = groups.get(key) ?? { observed: name, width: widths.get(name)!, rank: 0, modules: [] };
    group.rank = Math.max(group.rank, module.rank);
    group.modules.push(module);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function declareUpdate(
  { setup, built }: TrainingRun,
  groups: InputGroup[],
  { shape: grid }: BatchPlan,
  places: number,
  name: string,
): Update {
  const { objective, architecture, computation } = setup;
  const { builder, model: trained, varies } = built;
  const attached = attachAdapter(builder, architecture, trained.frozen, null, { form: 'folded', name: '' });
  const base = { ...attached, stacks: trained.stacks };
  const observed = new Map(groups.map((group, g) => [group.observed, { ...group, g }]));
  const float = (...shape: number[]) => ({ shape, dtype: 'float32' }) as const;
  const inputs: InputSpecs = {
    ...batchInputs(objective, grid, varies, { classes: setup.layout.classes }),
    input_positions_read: { shape: [places], dtype: 'int32' },
    input_counted: float(places, 1),
    input_seen: float(),
    ...Object.fromEntries(
      groups.flatMap(({ rank, width }, g) => [
        [`vectors_${g}`, float(rank, width)],
        [`sizes_${g}`, float(rank)],
        [`mean_${g}`, float(width)],
        [`spread_${g}`, float(1)],
        ...(basisWidth(rank, width) > 0 ? [[basisName({ rank, width }), float(width, 2 * rank)]] : []),
      ]),
    ),
  };
  return builder.function(name, inputs, (given) =>
    withComputation(computation, () => {
      // Every position is needed, also in the last block.
      const { label_positions: _, ...batch } = given;
      const outputs: Record<string, tf.Tensor> = {};
      const observe = (module: string, x: tf.Tensor): tf.Tensor[] => {
        const { g, rank, width } = observed.get(module)!;
        const rows = tf.cast(takeRows(x, given.input_positions_read!), 'float32');
        const before = {
          vectors: given[`vectors_${g}`]!,
          sizes: given[`sizes_${g}`]!,
          mean: given[`mean_${g}`]!,
          spread: given[`spread_${g}`]!,
        };
        const basis = basisWidth(rank, width) > 0 ? given[basisName({ rank, width })]! : null;
        const after = withRows(before, {
          rows,
          counted: given.input_counted!,
          seen: given.input_seen!,
          basis,
        });
        for (const part of PARTS) outputs[`${part}_${g}`] = after[part];
        return Object.values(after);
      };
      const model = {
        ...base,
        runtime: (of: Parameters<typeof base.runtime>[0]) =>
          observedRuntime(base.runtime(of), new Set(observed.keys()), observe),
      };
      forwardOf({
        model,
        grid,
        inputs: batch as never,
        parameters: new Map(),
        training: null,
        options: computation.options,
      });
      for (const [module, { g }] of observed)
        if (!outputs[`vectors_${g}`])
          throw new GraftError(
            'invalid_peft_config',
            `init_lora_weights: "eva" reads the inputs of ${module}, which the model does not compute; leave it out of target_modules`,
            { param: 'peft.init_lora_weights' },
          );
      return outputs;
    }),
  );
}

const basisName = ({ rank, width }: Pick<InputGroup, 'rank' | 'width'>) => `basis_${rank}_${width}`;

function basesOf(groups: InputGroup[], seed: number): Record<string, Float32Array> {
  const bases: Record<string, Float32Array> = {};
  for (const group of groups) {
    const columns = basisWidth(group.rank, group.width);
    const name = basisName(group);
    if (columns === 0 || bases[name]) continue;
    const random = new Random(seed, 'inputs', 1 + Object.keys(bases).length);
    bases[name] = Float32Array.from({ length: group.width * columns }, () => random.normal());
  }
  return bases;
}

const feedsOfGroup = (kept: Kept, g: number): [string, Float32Array][] =>
  PARTS.map((part) => [`${part}_${g}`, kept[part]]);

/** The positions that count, in the first entries. */
function positionsOf(
  { labelPositions, labelCount, segments }: FilledBatch,
  { onlyTargets }: InputPass,
  places: number,
): { positions: Int32Array; counted: Float32Array; count: number } {
  const own = onlyTargets
    ? labelPositions.subarray(0, labelCount)
    : Int32Array.from([...segments.keys()].filter((at) => segments[at]! > 0));
  const positions = new Int32Array(places);
  positions.set(own);
  return { positions, counted: new Float32Array(places).fill(1, 0, own.length), count: own.length };
}

/** The directions after a batch, with signs as in PEFT: the largest number of each is positive. Throws if a number is none. */
function keptOf(
  g: number,
  { rank, width, observed }: InputGroup,
  read: (name: string) => Float32Array,
): Kept {
  // Other groups, and the next batch, may be in the same memory.
  const [vectors, sizes, mean, spread] = PARTS.map((part) => read(`${part}_${g}`).slice()) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const next = { vectors, sizes, mean, spread };
  if (!Object.values(next).every((values) => values.every(Number.isFinite)))
    throw new GraftError(
      'invalid_peft_config',
      `init_lora_weights: "eva" reads the inputs of ${observed}, and one of them is not a number; use another start`,
      { param: 'peft.init_lora_weights' },
    );
  for (let k = 0; k < rank; k++) {
    const vector = vectors.subarray(k * width, (k + 1) * width);
    const largest = vector.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
    if (largest < 0) for (const [i, value] of vector.entries()) vector[i] = -value;
  }
  return next;
}

/** Checks whether the cosine of each direction with its former self is at least `similarity`. */
function areSimilar(
  { vectors: before }: Kept,
  { vectors: after }: Kept,
  { rank, width }: InputGroup,
  similarity: number,
): boolean[] {
  return Array.from({ length: rank }, (_, k) => {
    let cosine = 0;
    for (let i = k * width; i < (k + 1) * width; i++) cosine += before[i]! * after[i]!;
    return cosine >= similarity;
  });
}

/**
 * The number of directions of each group's modules. The budget goes to the directions that explain the largest shares of their inputs' variance; of
 * modules with one input the first goes before the others.
 */
function ranksOf(groups: InputGroup[], kept: Kept[], { meanRank }: InputPass): number[][] {
  if (meanRank === null) return groups.map(({ modules }) => modules.map(({ rank }) => rank));
  const ranks = groups.map(({ modules }) => modules.map(() => 0));
  const places = groups.flatMap(({ modules }, g) => modules.map((_, m) => ({ g, m })));
  const inOrder = [...places.filter(({ m }) => m === 0), ...places.filter(({ m }) => m > 0)];
  const shares = inOrder.flatMap(({ g, m }) => {
    const { sizes, spread } = kept[g]!;
    return Array.from(sizes, (size) => ({ g, m, share: spread[0]! > 0 ? size ** 2 / spread[0]! : 0 }));
  });
  // Sorting keeps the order of equal shares.
  shares.sort((a, b) => b.share - a.share);
  for (const { g, m } of shares.slice(0, meanRank * places.length)) ranks[g]![m]!++;
  return ranks;
}

/** Centred, n rows have n − 1 directions. */
function checkCount(count: number, { onlyTargets, meanRank }: InputPass, groups: InputGroup[]): void {
  const rank = Math.max(...groups.map((group) => group.rank));
  if (count > rank) return;
  const what = onlyTargets ? 'positions with a target' : 'positions';
  const [bound, remedy] =
    meanRank === null ? ['the rank', 'r'] : ['r times eva_config.rho', 'r or eva_config.rho'];
  throw new GraftError(
    'data_unfit_for_task',
    `init_lora_weights "eva" needs more ${what} than ${bound}, ${rank}, and the training data has ${count}; add examples, or lower ${remedy}`,
    { param: 'training_file' },
  );
}

function valuesOf(
  { width, modules, observed }: InputGroup,
  ranks: number[],
  { vectors, sizes }: Kept,
  { whiten }: InputPass,
): [string, Float32Array][] {
  return modules.map(({ parameter, rank: rows }, m) => {
    const rank = ranks[m]!;
    const own = new Float32Array(rows * width);
    own.set(vectors.subarray(0, rank * width));
    if (!whiten) return [parameter, own];
    for (let k = 0; k < rank; k++) {
      if (!(sizes[k]! > 0))
        throw new GraftError(
          'invalid_peft_config',
          `eva_config.whiten: the inputs of ${observed} vary in ${k} directions only, fewer than the rank ${rank}; set it to false, or lower r`,
          { param: 'peft.eva_config.whiten' },
        );
      for (let i = k * width; i < (k + 1) * width; i++) own[i]! /= Math.sqrt(sizes[k]!);
    }
    return [parameter, own];
  });
}

/**
 * A runtime that passes the input `(N, in)` of each linear module in `modules` to `observe`, which returns the tensors that it computes from it.
 * A block's output is computed only after those of its modules, so that the inputs of one block are in memory at a time.
 */
function observedRuntime(
  runtime: ModelRuntime,
  modules: ReadonlySet<string>,
  observe: (module: string, x: tf.Tensor) => tf.Tensor[],
): ModelRuntime {
  let computed: tf.Tensor[] = [];
  const look = (module: string, x: tf.Tensor) => {
    if (modules.has(module)) computed.push(...observe(module, x));
  };
  return {
    ...runtime,
    linear(module, x) {
      look(module, x);
      return runtime.linear(module, x);
    },
    linears(names, x) {
      for (const name of names) look(name, x);
      return runtime.linears(names, x);
    },
    block(path, x, body, others) {
      const y = runtime.block(path, x, body, others);
      const own = computed;
      computed = [];
      return withControlDependency(y, ...own);
    },
  };
}

/**
 * The leading principal components of rows `(N, width)` that arrive in batches: after each batch, those of all rows so far, up to what lies
 * outside the directions that are kept. Source: Ross et al. 2008, Incremental Learning for Robust Visual Tracking, section 3.3; HF PEFT
 * 0.21.2, utils/incremental_pca.py.
 */
export interface Directions<T> {
  /** Unit vectors `(rank, width)`, the most important first. Their signs are arbitrary. */
  vectors: T;
  /** Singular values `(rank)` of the rows minus their mean. */
  sizes: T;
  /** Mean of the rows `(width)`. */
  mean: T;
  /** Sum of the squares of the rows minus their mean, `()`. */
  spread: T;
}

/** Inputs up to this width are decomposed exactly: that is as cheap. */
const EXACT_WIDTH = 256;
/** Power iterations, as in PEFT. */
const ITERATIONS = 4;

/** Number of columns of the random basis in which inputs of `width` are decomposed, as in PEFT; 0: they are decomposed exactly. */
export const basisWidth = (rank: number, width: number): number =>
  width <= EXACT_WIDTH ? 0 : Math.min(2 * rank, width);

/**
 * Adds a batch. `rows` `(N, width)` float32; `counted` `(N, 1)` has 1 for each row that counts, at least one, and 0 for the others. `seen` `()` is
 * the number of rows that counted before; at 0 `before` must be zeros. `basis` is `(width, basisWidth)` random normal numbers; null where
 * none are needed. A row that is not finite makes the mean not finite.
 */
export function withRows(
  before: Directions<tf.Tensor>,
  {
    rows,
    counted,
    seen,
    basis,
  }: Record<'rows' | 'counted' | 'seen', tf.Tensor> & { basis: tf.Tensor | null },
): Directions<tf.Tensor> {
  const rank = before.vectors.shape[0]!;
  const count = tf.sum(counted);
  const total = tf.add(seen, count);
  const average = tf.div(tf.sum(tf.mul(rows, counted), 0), count);
  const shift = tf.sub(average, before.mean);
  const added = tf.concat(
    [
      tf.mul(tf.sub(rows, average), counted),
      tf.expandDims(tf.mul(shift, tf.sqrt(tf.div(tf.mul(seen, count), total))), 0),
    ],
    0,
  );
  const kept = tf.mul(tf.expandDims(before.sizes, 1), before.vectors);
  const stacked = tf.concat([kept, added], 0) as tf.Tensor2D;
  // A decomposition of values that are not finite may never end.
  const finite = rawOp('SelectV2', [], [rawOp('IsFinite', [], [stacked])[0]!, stacked, tf.scalar(0)])[0]!;
  const { s, v } = decomposed(finite as tf.Tensor2D, basis);
  return {
    vectors: tf.transpose(tf.slice(v, [0, 0], [-1, rank])),
    sizes: tf.slice(s, [0], [rank]),
    mean: tf.add(before.mean, tf.mul(shift, tf.div(count, total))),
    spread: tf.add(before.spread, tf.sum(tf.square(added))),
  };
}

/** Singular values and right singular vectors `(width, number of values)` of a matrix `(n, width)`. Source: Halko et al. 2009, arXiv:0909.4061. */
function decomposed(matrix: tf.Tensor2D, basis: tf.Tensor | null): { s: tf.Tensor; v: tf.Tensor } {
  if (basis === null) return singularValues(matrix);
  let left = orthonormal(tf.matMul(matrix, basis as tf.Tensor2D));
  for (let i = 0; i < ITERATIONS; i++) {
    const right = orthonormal(tf.matMul(matrix, left, true));
    left = orthonormal(tf.matMul(matrix, right));
  }
  return singularValues(tf.matMul(left, matrix, true));
}

function singularValues(matrix: tf.Tensor2D): { s: tf.Tensor; v: tf.Tensor } {
  const options = [attr.bool('compute_uv', true), attr.bool('full_matrices', false)];
  const [s, , v] = rawOp('Svd', options, [matrix]);
  return { s: s!, v: v! };
}

function orthonormal(matrix: tf.Tensor2D): tf.Tensor2D {
  return rawOp('Qr', [attr.bool('full_matrices', false)], [matrix])[0] as tf.Tensor2D;
}
