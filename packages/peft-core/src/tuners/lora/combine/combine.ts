import { GraftError } from '../../../errors.ts';
import { COMBINED_ADAPTERS } from '../../../lists.ts';
import type { ModelOutline } from '../../../outlines/outline.ts';
import { Random } from '../../../random.ts';
import type { Combination } from '../../../schema/combination.ts';
import { type FileTensor, savedTensors } from '../../file-tensors.ts';
import type { CombinationPlan, CombinedAdapter } from '../../method.ts';
import type { LoraConfig } from '../config.ts';
import { loraFileTensors } from '../file-tensors.ts';
import { type LoraTarget, loraNames, loraTargets } from '../targets.ts';
import { bestOfRank, type Columns } from './singular-values.ts';
import { combineNumbers } from './task-arithmetic.ts';

/** The factors of a module: A `(rank, width)` and B `(out, rank)`, row-major. */
interface Factors {
  a: Float32Array;
  b: Float32Array;
  rank: number;
  /** The adapter's weight times the scale of its update. */
  weight: number;
}

const maxRank = 4096;

/**
 * Combines updates as `add_weighted_adapter` of peft 0.21.2 does (tuners/lora/model.py). The new config has the options of the first
 * adapter, and a scale of 1: the scales of the adapters become part of the factors. Throws `not_combinable`, `rank_too_large`.
 */
export function combineLora(
  adapters: readonly CombinedAdapter<LoraConfig>[],
  model: ModelOutline,
  options: Combination,
): CombinationPlan<LoraConfig> {
  for (const adapter of adapters) refuseOtherParts(adapter, model);
  const targets = adapters.map(({ config }) => loraTargets(config, model).targets);
  adapters.forEach((adapter, i) => {
    checkSameModules(adapters[0]!, targets[0]!, adapter, targets[i]!);
  });
  const config = combinedConfig(adapters, targets, options);
  const [first] = adapters;
  const groups = loraTargets(config, model).targets.map((target, index) => {
    const keys = keysOf(target, config);
    const own = targets.map((each) => each[index]!);
    return {
      tensors: [
        { key: keys.a, shape: [target.rank, target.width] },
        { key: keys.b, shape: [target.out, target.rank] },
      ],
      async compute(read: (adapter: number, tensor: FileTensor) => Promise<Float32Array>) {
        const factors: Factors[] = [];
        for (const [i, { rank, width, out, scale }] of own.entries())
          factors.push({
            a: await read(i, { key: keys.a, shape: [rank, width] }),
            b: await read(i, { key: keys.b, shape: [out, rank] }),
            rank,
            weight: adapters[i]!.weight * scale,
          });
        return combineFactors(factors, target, options, index);
      },
    };
  });
  const combined = new Set(groups.flatMap(({ tensors }) => tensors.map(({ key }) => key)));
  return {
    config,
    groups,
    copied: loraFileTensors(first!.config, model).filter(({ key }) => !combined.has(key)),
  };
}

const prefix = 'base_model.model.';

function keysOf(target: LoraTarget, config: LoraConfig): { a: string; b: string } {
  const { a, b } = loraNames(target, config);
  return { a: prefix + a, b: prefix + b };
}

function notCombinable(message: string, param = 'sources'): GraftError {
  return new GraftError('not_combinable', `${param}: ${message}`, { param });
}

/** Only A and B are combined; adapters that trained something else are refused, rather than losing a part. */
function refuseOtherParts({ name, config }: CombinedAdapter<LoraConfig>, model: ModelOutline): void {
  const { targets, experts } = loraTargets(config, model);
  const whole = savedTensors(config, model).modules;
  const parts = [
    [config.use_dora, 'use_dora'],
    [config.lora_bias, 'lora_bias'],
    [config.bias !== 'none', `bias ${config.bias}`],
    [config.alora_invocation_tokens !== null, 'alora_invocation_tokens'],
    [config.trainable_token_indices !== null, 'trainable_token_indices'],
    [experts.length > 0 || targets.some(({ isRouter }) => isRouter), 'target_parameters'],
    [whole.length > 0, `whole modules (${whole.slice(0, 3).join(', ')})`],
  ] as const;
  const found = parts.find(([trained]) => trained);
  if (found)
    throw notCombinable(
      `${name} was trained with ${found[1]}; only adapters of plain factors A and B can be combined.`,
    );
}

function checkSameModules(
  first: CombinedAdapter<LoraConfig>,
  wanted: readonly LoraTarget[],
  other: CombinedAdapter<LoraConfig>,
  found: readonly LoraTarget[],
): void {
  const [names, others] = [wanted, found].map((targets) => new Set(targets.map(({ name }) => name)));
  const missing = [...names!].find((name) => !others!.has(name));
  const extra = [...others!].find((name) => !names!.has(name));
  if (missing === undefined && extra === undefined) return;
  const [has, lacks] = missing === undefined ? [other.name, first.name] : [first.name, other.name];
  throw notCombinable(
    `${has} adapts ${missing ?? extra} and ${lacks} does not; combine adapters with the same target_modules.`,
  );
}

function combinedConfig(
  adapters: readonly CombinedAdapter<LoraConfig>[],
  targets: readonly (readonly LoraTarget[])[],
  { combination_type: type, svd_rank: svdRank }: Combination,
): LoraConfig {
  const { config } = adapters[0]!;
  const plain = { use_rslora: false, lora_alpha: config.r, alpha_pattern: config.rank_pattern };
  if (type !== 'svd' && type !== 'cat') {
    checkSameRanks(adapters, targets, type);
    // The same rank of each module; with the alpha equal to it, the scale is 1.
    return { ...config, ...plain };
  }
  const ranks = targets[0]!.map((_, i) => targets.map((each) => each[i]!.rank));
  const sums = ranks.map((each) => each.reduce((sum, rank) => sum + rank, 0));
  const sum = Math.max(...sums);
  const rank = type === 'cat' ? sum : (svdRank ?? Math.max(...ranks.flat()));
  if (type === 'svd' && rank > sum)
    throw new GraftError(
      'rank_too_large',
      `svd_rank: the rank would be ${rank}, more than the ranks of the sources together, ${sum}, which holds their sum exactly; choose at most that.`,
      { param: 'svd_rank' },
    );
  const narrow = targets[0]!.find(({ width, out }) => rank > Math.min(width, out));
  if (rank > maxRank || narrow) {
    const limit = narrow
      ? `${narrow.name}, which is ${narrow.out} × ${narrow.width}, allows`
      : `${maxRank}, the largest,`;
    throw new GraftError(
      'rank_too_large',
      `${type === 'cat' ? 'combination_type' : 'svd_rank'}: the rank would be ${rank}, more than ${limit}; ${type === 'cat' ? 'use "svd" with a smaller svd_rank' : 'choose a smaller one'}.`,
      { param: type === 'cat' ? 'combination_type' : 'svd_rank' },
    );
  }
  return { ...config, r: rank, lora_alpha: rank, use_rslora: false, rank_pattern: {}, alpha_pattern: {} };
}

function checkSameRanks(
  adapters: readonly CombinedAdapter<LoraConfig>[],
  targets: readonly (readonly LoraTarget[])[],
  type: string,
): void {
  for (const [i, { name, rank }] of targets[0]!.entries()) {
    const other = targets.findIndex((each) => each[i]!.rank !== rank);
    if (other < 0) continue;
    throw notCombinable(
      `"${type}" needs equal ranks, and ${name} has rank ${rank} in ${adapters[0]!.name} and ${targets[other]![i]!.rank} in ${adapters[other]!.name}; use "svd" or "cat".`,
      'combination_type',
    );
  }
}

function combineFactors(
  factors: readonly Factors[],
  target: LoraTarget,
  options: Combination,
  index: number,
): [a: Float32Array, b: Float32Array] {
  if (options.combination_type === 'cat') return concatenated(factors, target);
  if (options.combination_type === 'svd') return approximated(factors, target);
  // The square root of the weight multiplies each factor, and its sign A alone.
  const combined = (matrix: 'a' | 'b') =>
    combineNumbers(
      factors.map((each, adapter) => ({
        values: each[matrix],
        weight: Math.sqrt(Math.abs(each.weight)) * (matrix === 'a' && each.weight < 0 ? -1 : 1),
        random: droppingRandom(options, index, matrix, adapter),
      })),
      options,
    );
  return [combined('a'), combined('b')];
}

/** The random numbers by which numbers of one matrix are dropped; `index` is that of the module. */
export function droppingRandom(
  { seed = 0 }: Pick<Combination, 'seed'>,
  index: number,
  matrix: 'a' | 'b',
  adapter: number,
): Random {
  const part = (2 * index + (matrix === 'a' ? 0 : 1)) * COMBINED_ADAPTERS.most + adapter;
  return new Random(seed, 'dropping', part);
}

/** All ranks side by side, A times the weight; missing ranks are zeros. */
function concatenated(
  factors: readonly Factors[],
  { rank, width, out }: LoraTarget,
): [a: Float32Array, b: Float32Array] {
  const a = new Float32Array(rank * width);
  const b = new Float32Array(out * rank);
  let start = 0;
  for (const own of factors) {
    a.set(
      own.a.map((value) => value * own.weight),
      start * width,
    );
    for (let row = 0; row < out; row++)
      b.set(own.b.subarray(row * own.rank, (row + 1) * own.rank), row * rank + start);
    start += own.rank;
  }
  return [a, b];
}

/** The best approximation of the weighted sum of all products `B A` with the target's rank. */
function approximated(
  factors: readonly Factors[],
  { rank, width, out }: LoraTarget,
): [a: Float32Array, b: Float32Array] {
  const wide: Columns = { rows: out, columns: [] };
  const transposed: Columns = { rows: width, columns: [] };
  for (const own of factors)
    for (let k = 0; k < own.rank; k++) {
      wide.columns.push(
        Float64Array.from({ length: out }, (_, row) => own.weight * own.b[row * own.rank + k]!),
      );
      transposed.columns.push(Float64Array.from(own.a.subarray(k * width, (k + 1) * width)));
    }
  const best = bestOfRank(wide, transposed, rank);
  const a = new Float32Array(rank * width);
  const b = new Float32Array(out * rank);
  best.aTransposed.columns.forEach((column, k) => {
    a.set(column, k * width);
  });
  best.b.columns.forEach((column, k) => {
    for (let row = 0; row < out; row++) b[row * rank + k] = column[row]!;
  });
  return [a, b];
}
