import { type Static, Type } from 'typebox';
import { type UpdateTarget, updateOptions, updateTargets } from '../matrices/config.ts';
import { matrixMethod } from '../matrices/method.ts';

/** LoHa, with the names and defaults of HF PEFT 0.21's LoHaConfig. */
const LohaConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('LOHA', { description: 'The PEFT method.' }),
    ...updateOptions,
    init_weights: Type.Boolean({
      default: true,
      description: 'Start without an update. false: a random one, for tests.',
    }),
  },
  {
    $id: 'LoHaConfig',
    description:
      'Low-rank Hadamard products. Source: Hyeon-Woo et al. 2021, arXiv:2108.06098; Yeh et al. 2023, arXiv:2309.14859.',
  },
);

export type LohaConfig = Static<typeof LohaConfigSchema>;

export const lohaMethod = matrixMethod<LohaConfig, UpdateTarget>({
  title: 'LoHa',
  when: "For adapters that you have in this form, known from image models: each update is the product, element by element, of two of rank r, and has up to rank r². In HF PEFT's benchmark (Llama 3.2 3B on MetaMathQA) its accuracy was 39.3 %, the default method's 47.8 %: choose that for new ones.",
  paper: 'https://arxiv.org/abs/2108.06098',
  usual: { r: 16, alpha: 32, target_modules: 'all-linear' },
  classifier: { r: 8, alpha: 16, target_modules: 'all-linear' },
  schema: LohaConfigSchema,
  unimplemented: { use_effective_conv2d: false },
  rates: { classifier: 30, others: 30 },
  targets: (config, model) => updateTargets(config, model, 'LOHA'),
  rank: ({ rank }) => rank,
  tensors: factorsOf,
  // The weight, both products and theirs, and in the backward pass the gradient of the update.
  weightCopies: () => 5,
  tensorNames: ['hada'],
  floats: ['rank_dropout', 'module_dropout'],
});

/** The trained tensors of a module: two pairs of factors `(out, r)` and `(r, in)`. */
export function factorsOf({
  name,
  width,
  out,
  rank,
}: UpdateTarget): { name: string; shape: [number, number] }[] {
  return ['w1', 'w2'].flatMap((matrix) => [
    { name: `${name}.hada_${matrix}_a`, shape: [out, rank] },
    { name: `${name}.hada_${matrix}_b`, shape: [rank, width] },
  ]);
}
