import { type Static, Type } from 'typebox';
import { configFault, type Fault } from '../../schema/check-fields.ts';
import { idleScale, type UpdateTarget, updateOptions, updateTargets } from '../matrices/config.ts';
import { matrixMethod } from '../matrices/method.ts';

/** LoKr, with the names and defaults of HF PEFT 0.21's LoKrConfig. */
const LokrConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('LOKR', { description: 'The PEFT method.' }),
    ...updateOptions,
    decompose_both: Type.Boolean({
      default: false,
      description: 'Use factors of rank r for the first matrix of the product too, where that is smaller.',
    }),
    decompose_factor: Type.Integer({
      minimum: -1,
      maximum: 65_536,
      default: -1,
      description:
        'The size of the first matrix of the product, as far as it divides the sizes of a layer. -1: near their square roots.',
    }),
    rank_dropout_scale: Type.Boolean({
      default: false,
      description: 'Divide what rank_dropout leaves by its share.',
    }),
    init_weights: Type.Union([Type.Boolean(), Type.Enum(['lycoris'], { type: 'string' })], {
      default: true,
      description:
        'true: the first matrix is zero at the start. "lycoris": the second one is. false: both random, for tests.',
    }),
  },
  {
    $id: 'LoKrConfig',
    description: 'Low-rank Kronecker products. Source: Yeh et al. 2023, arXiv:2309.14859.',
  },
);

export type LokrConfig = Static<typeof LokrConfigSchema>;

export const lokrMethod = matrixMethod<LokrConfig, UpdateTarget>({
  title: 'LoKr',
  when: "To share small files of an update of full rank; known from image models. In HF PEFT's benchmark (Llama 3.2 3B on MetaMathQA) its accuracy was 46.6 %, the default method's 47.8 %, in three quarters of its time: choose that unless you have such adapters.",
  paper: 'https://arxiv.org/abs/2309.14859',
  usual: { r: 32, alpha: 64, decompose_factor: 4, target_modules: 'all-linear' },
  classifier: { r: 16, alpha: 32, decompose_factor: 4, target_modules: 'all-linear' },
  schema: LokrConfigSchema,
  unimplemented: { use_effective_conv2d: false },
  forms: ['decompose_both'],
  idle: lokrIdle,
  rates: { classifier: 30, others: 30 },
  targets: (config, model) => updateTargets(config, model, 'LOKR'),
  tensors(target, config) {
    const { first, second } = factorsOf(target, config);
    return [...first, ...second];
  },
  // The inputs of each product of two.
  kept(target, config) {
    const { sizes, second } = factorsOf(target, config);
    const { inner, outRest } = sizes;
    return inner * outRest + (second.length > 1 ? inner * target.rank : 0);
  },
  tensorNames: ['lokr'],
  floats: ['rank_dropout', 'module_dropout'],
});

/** The sizes of the two matrices: `(outer, inner)` and `(outRest, inRest)`; out = outer · outRest, in = inner · inRest. */
interface Sizes {
  outer: number;
  inner: number;
  outRest: number;
  inRest: number;
}

/** The trained tensors of a module: each matrix, or its two factors. */
export function factorsOf(
  { name, width, out, rank }: UpdateTarget,
  { decompose_both, decompose_factor }: LokrConfig,
): { sizes: Sizes; first: NamedMatrix[]; second: NamedMatrix[] } {
  const [inner, inRest] = factorization(width, decompose_factor);
  const [outer, outRest] = factorization(out, decompose_factor);
  const matrices = (key: string, rows: number, columns: number, isWhole: boolean): NamedMatrix[] =>
    isWhole
      ? [{ name: key, shape: [rows, columns] }]
      : [
          { name: `${key}_a`, shape: [rows, rank] },
          { name: `${key}_b`, shape: [rank, columns] },
        ];
  const wholeFirst = !(decompose_both && rank < Math.max(outer, inner) / 2);
  return {
    sizes: { outer, inner, outRest, inRest },
    first: matrices(`${name}.lokr_w1`, outer, inner, wholeFirst),
    second: matrices(`${name}.lokr_w2`, outRest, inRest, rank >= Math.max(outRest, inRest) / 2),
  };
}

export interface NamedMatrix {
  name: string;
  shape: [number, number];
}

/** Two factors of a size, the first near `factor`, or as near to the square root as possible. Source: peft, lokr/layer.py. */
function factorization(size: number, factor: number): [number, number] {
  if (factor > 0 && size % factor === 0) return [factor, size / factor];
  const limit = factor === -1 ? size : factor;
  let [first, second] = [1, size];
  while (first < second) {
    let next = first + 1;
    while (size % next !== 0) next++;
    if (next + size / next > size + 1 || next > limit) break;
    [first, second] = [next, size / next];
  }
  return first > second ? [second, first] : [first, second];
}

function lokrIdle(given: Record<string, unknown>): Fault[] {
  const faults = idleScale(given);
  if (given.decompose_factor === 0) faults.push(configFault('decompose_factor', 'must be -1, or 1 or more'));
  return faults;
}
