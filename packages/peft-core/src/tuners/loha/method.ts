import { type Static, Type } from 'typebox';
import type { ModelOutline } from '../../outlines/outline.ts';
import { type UpdateTarget, updateFaults, updateOptions, updateTargets } from '../matrices/config.ts';
import { checkMatrixNames, checkRank, matrixFileTensors, rankedTargets } from '../matrices/targets.ts';
import { chosenRank, costlyTargets, type Method, rateByWidth } from '../method.ts';

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

const usual = { r: 16, alpha: 32, target_modules: 'all-linear' };

export const lohaMethod: Method<LohaConfig> = {
  title: 'LoHa',
  when: "For adapters that you have in this form, known from image models: each update is the product, element by element, of two of rank r, and has up to rank r². In HF PEFT's benchmark (Llama 3.2 3B on MetaMathQA) its accuracy was 39.3 %, the default method's 47.8 %: choose that for new ones.",
  paper: 'https://arxiv.org/abs/2108.06098',
  library: 'HF PEFT',
  usual,
  trials: {
    languageModel: { options: usual, epochs: 3, margin: 50 },
    classifier: { options: { ...usual, r: 8, alpha: 16 }, epochs: 10 },
  },
  schema: LohaConfigSchema,
  unimplemented: { use_effective_conv2d: false },
  choose: (given, maxRank) => {
    const r = chosenRank(given, usual.r, maxRank);
    return { ...usual, r, alpha: 2 * r };
  },
  costly: {
    alpha: 'it is 8',
    ...costlyTargets,
  },
  faults: updateFaults,
  // Measured: see docs/auto.md.
  learningRate: (_config, model) => rateByWidth(30, model),
  check: (config, model) => void lohaTargets(config, model),
  checkIdle(config, model) {
    const targets = lohaTargets(config, model);
    checkMatrixNames(config, model, targets);
    for (const target of rankedTargets(targets, config, model))
      checkRank(
        target.rank,
        Math.min(target.width, target.out),
        target,
        target.rank === config.r ? 'r' : 'rank_pattern',
      );
  },
  fileTensors: (config, model) => matrixFileTensors(config, model, lohaTargets(config, model), factorsOf),
  // The weight, both products and theirs, and in the backward pass the gradient of the update.
  weightCopies: () => 5,
  tensorNames: ['hada'],
  floats: ['rank_dropout', 'module_dropout'],
};

/** The modules that `config` adapts. Throws what `matrixTargets` throws. */
export const lohaTargets = (config: LohaConfig, model: ModelOutline): UpdateTarget[] =>
  updateTargets(config, model, 'LOHA');

/** The trained tensors of a module: two pairs of factors `(out, r)` and `(r, in)`. */
export const factorsOf = ({
  name,
  width,
  out,
  rank,
}: UpdateTarget): { name: string; shape: [number, number] }[] =>
  ['w1', 'w2'].flatMap((matrix) => [
    { name: `${name}.hada_${matrix}_a`, shape: [out, rank] },
    { name: `${name}.hada_${matrix}_b`, shape: [rank, width] },
  ]);
