/**
 * Start values from the inputs of the adapted layers (EVA): a forward pass of the base model over the training examples, each at most once,
 * before the first step. Source: Paischer et al. 2024, arXiv:2410.07170; HF PEFT 0.21.2 (eva.py).
 */
import { type InputSpecs, type ProgramFunction, type TypedArray, tf } from '@graft/tf-graph';
import { GraftError } from '../../errors.ts';
import {
  type BatchPlan,
  type FilledBatch,
  fillBatch,
  layoutOfBase,
  planInputs,
} from '../../examples/index.ts';
import { withComputation } from '../../nn/computation.ts';
import { takeRows } from '../../nn/rows.ts';
import { attachAdapter } from '../../peft-model/peft-model.ts';
import { Random } from '../../random.ts';
import type { InputPass } from '../../tuners/tuner.ts';
import { implementationHere } from '../machine/implementation.ts';
import { laterFunction } from '../machine/later-functions.ts';
import { batchInputs, feedsOf, lossOptions } from '../objectives/losses.ts';
import { forwardOf } from '../objectives/passes.ts';
import type { TrainingRun } from '../open-run.ts';
import { basisWidth, type Directions, withRows } from './directions.ts';
import { observedRuntime } from './observed-runtime.ts';

/** Progress in examples. */
export interface InputProgress {
  done: number;
  of: number;
}

type Run = Pick<TrainingRun, 'setup' | 'options' | 'built' | 'precision'>;

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

/** The pass that the adapter's start values need; null for other adapters. */
export const inputPassOf = ({ built }: Pick<TrainingRun, 'built'>): InputPass | null =>
  built.model.attachment?.inputs ?? null;

/**
 * Computes the start values of the parameters of `pass`, by name. Throws `data_unfit_for_task` for data with too few positions, and
 * `invalid_peft_config` for inputs from which there are no directions.
 */
export function* startFromInputs(
  run: Run,
  pass: InputPass,
): Generator<InputProgress, Map<string, Float32Array>> {
  const { setup, options, built } = run;
  const { objective } = setup;
  const seed = options.training.seed;
  const groups = groupsOf(run, pass);
  const layout = {
    ...setup.layout,
    ...layoutOfBase,
    arrangement: implementationHere() === 'stock' ? ('grid' as const) : ('flat' as const),
  };
  const { plan, examples } = planInputs(setup.data.training, options.training, layout);
  const places = Math.max(
    pass.onlyTargets ? plan.shape.labels : plan.shape.rows * plan.shape.tokens,
    ...groups.map(({ rank }) => 2 * rank),
  );
  const update = laterFunction<Update>(
    built,
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
    if (step + 1 < plan.steps && !areFinal()) yield { done, of: examples.length };
  }
  checkCount(seen, pass, groups);
  yield { done, of: examples.length };
  return new Map(groups.flatMap((group, g) => valuesOf(group, ranks[g]!, kept[g]!, pass)));
}

/** Modules of a stack of the outline read one input. */
function groupsOf({ setup: { architecture } }: Run, { modules }: InputPass): InputGroup[] {
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
  { setup, options, built, precision }: Run,
  groups: InputGroup[],
  { shape: grid }: BatchPlan,
  places: number,
  name: string,
): Update {
  const { objective, architecture } = setup;
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
    withComputation({ precision, implementation: implementationHere() }, () => {
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
        options: lossOptions(objective, options.training),
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
