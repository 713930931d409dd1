/** Cases that the gate traces: the whole grid, and a part of it that has each family, method, kind of weight and function. */
import type { MatmulPrecision } from '../../../packages/peft-core/src/nn/computation.ts';
import { measureSpeed } from '../../../packages/peft-core/src/train/machine/measure-speed.ts';
import { checkEngine } from '../../../packages/peft-core/src/train/verification/check-engine.ts';
import type { BaseStorage } from '../../../packages/peft-core/src/weights/base-storage.ts';
import { adaptersMethods } from '../../../test/golden/matrix/adapters-methods.ts';
import { architectures } from '../../../test/golden/matrix/architectures.ts';
import { type Cell, cells } from '../../../test/golden/matrix/cells.ts';
import { methods } from '../../../test/golden/matrix/methods.ts';
import {
  buildEvaluation,
  buildGeneration,
  buildScoring,
  buildSweep,
  buildTraining,
  type GraphCase,
  type TrainedCase,
} from './graphs.ts';

const storages: BaseStorage[] = ['float32', 'bfloat16', 'int8', 'nf4'];
const precisions: MatmulPrecision[] = ['fp32', 'bf16'];

const trained = (cell: Cell, storage: BaseStorage, precision: MatmulPrecision): TrainedCase => ({
  architecture: cell.architecture,
  peft: cell.config,
  storage,
  precision,
});
const trainingOf = (cell: Cell, storage: BaseStorage, precision: MatmulPrecision): GraphCase => ({
  name: `train ${cell.name}, ${storage}, ${precision}`,
  build: () => buildTraining(trained(cell, storage, precision)),
});

/** True where the model's answers are texts. */
const answers = ({ architecture: { task } }: Cell) => task === 'CAUSAL_LM' || task === 'SEQ_2_SEQ_LM';
const readingOf = (cell: Cell): GraphCase[] => [
  {
    name: `score ${cell.name}`,
    build: () => buildScoring({ architecture: cell.architecture, peft: cell.config }),
  },
  ...(answers(cell) ? storages : []).map((storage) => ({
    name: `answer ${cell.name}, ${storage}`,
    build: () => buildGeneration({ architecture: cell.architecture, peft: cell.config, storage }),
  })),
];

/** Everything that depends on the options of a training, on the architectures that have it. */
function optionCases(): GraphCase[] {
  const of = (name: string) => architectures.find((each) => each.name === name)!;
  const everywhere = { peft_type: 'LORA', r: 4, target_modules: 'all-linear', lora_dropout: 0.1 };
  const vectors = of('bert FEATURE_EXTRACTION');
  const classes = of('llama SEQ_CLS');
  const cases: Record<string, Partial<TrainedCase>> = {
    'accumulated, checkpointed, smoothed, with noise and an average': {
      training: {
        gradient_accumulation_steps: 4,
        gradient_checkpointing: true,
        label_smoothing_factor: 0.1,
        neftune_noise_alpha: 5,
        ema_decay: 0.99,
        loraplus_lr_ratio: 16,
      },
    },
    'active from an invocation, checkpointed': {
      peft: { ...everywhere, alora_invocation_tokens: [5, 6] },
      training: { gradient_checkpointing: true },
    },
    'checkpointed encoder and decoder with noise': {
      architecture: of('t5'),
      training: { gradient_checkpointing: true, label_smoothing_factor: 0.1, neftune_noise_alpha: 5 },
    },
    'dropout of the base': {
      architecture: { ...of('gpt2'), config: { ...of('gpt2').config, attn_pdrop: 0.1, resid_pdrop: 0.1 } },
      training: { gradient_checkpointing: true },
    },
    'pairs, in mini-batches, measured as a pool': { architecture: vectors, wholeBatch: 64, retrieves: true },
    'scored pairs': { architecture: vectors, objective: 'cosine' },
    'pairs of a decoder': { architecture: of('llama FEATURE_EXTRACTION') },
    'several classes of a text': { architecture: classes, objective: 'label_sets', classes: 3 },
    'smoothed classes that weigh more or less': {
      architecture: classes,
      training: { label_smoothing_factor: 0.1 },
      classWeights: [1, 2, 3],
    },
    'classes of tokens': { architecture: of('llama TOKEN_CLS') },
  };
  const options = Object.entries(cases).flatMap(([name, own]) =>
    storages.map((storage): GraphCase => {
      const one = {
        architecture: of('llama'),
        peft: everywhere,
        storage,
        precision: 'bf16' as const,
        ...own,
      };
      return { name: `train ${name}, ${storage}`, build: () => buildTraining(one) };
    }),
  );
  const others = storages.flatMap((storage): GraphCase[] => {
    const one = { architecture: of('llama'), peft: everywhere, storage, precision: 'bf16' as const };
    const plain = { ...one, architecture: vectors, peft: null, retrieves: true };
    return [
      { name: `sweep, ${storage}`, build: () => buildSweep(one) },
      { name: `evaluate an adapter, ${storage}`, build: () => buildEvaluation(one) },
      { name: `evaluate the base model, ${storage}`, build: () => buildEvaluation({ ...one, peft: null }) },
      { name: `evaluate pairs on the base model, ${storage}`, build: () => buildEvaluation(plain) },
    ];
  });
  // Checks that a worker runs before it takes jobs.
  const proofs = precisions.flatMap((precision): GraphCase[] => [
    { name: `prove the engine, ${precision}`, build: async () => checkEngine(precision) },
    { name: `measure speed, ${precision}`, build: async () => void (await measureSpeed(precision)) },
  ]);
  return [...options, ...others, ...proofs];
}

const allCells = () => cells([...methods, ...adaptersMethods]);

/** Every family with every method that it takes, in every precision, on every kind of base. */
export const wholeGrid = (): GraphCase[] => [
  ...allCells().flatMap((cell) => [
    ...storages.flatMap((storage) => precisions.map((precision) => trainingOf(cell, storage, precision))),
    ...readingOf(cell),
  ]),
  ...optionCases(),
];

/**
 * Each cell once, on one kind of base and in one precision after the other, so that each family and each method meets all of them; every
 * option; and scores and answers of each family by its first method, and of each method on its first family.
 */
export function coveringPart(): GraphCase[] {
  const all = allCells();
  const training = all.map((cell, i) =>
    trainingOf(cell, storages[i % storages.length]!, precisions[Math.floor(i / storages.length) % 2]!),
  );
  const isFirst = (cell: Cell) =>
    cell === all.find(({ architecture }) => architecture === cell.architecture) ||
    cell === all.find(({ method }) => method === cell.method);
  return [...training, ...all.filter(isFirst).flatMap(readingOf), ...optionCases()];
}
