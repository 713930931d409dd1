import { GraftError } from '../errors.ts';
import {
  type BatchLayout,
  cheapestOnStock,
  classWeightsOf,
  JudgedLabels,
  readTrainingData,
  type SequenceLayout,
  type TrainingData,
  type TrainingExample,
  unpaired,
  withOtherCompletions,
} from '../examples/index.ts';
import { sequencePooling } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { architectureFor } from '../models/registry.ts';
import { checkObjectiveOptions } from '../objectives/check-options.ts';
import type { Objective } from '../objectives/objective.ts';
import { type ObjectiveName, objectiveFor } from '../objectives/objectives.ts';
import { isClassifier } from '../outlines/index.ts';
import { withLabels } from '../outlines/label-names.ts';
import { adapterLabels } from '../peft-model/adapter-architecture.ts';
import { readAdapterFor } from '../peft-model/adapter-fit.ts';
import { permutation, Random } from '../random.ts';
import { loadTokenizerWith } from '../text/index.ts';
import { checkAgainstModel, checkFilesAgainstModel } from '../tuners/check.ts';
import { invocationOf, leadingPositions } from '../tuners/methods.ts';
import { attach } from '../tuners/registry.ts';
import { tracksBest } from './best-model.ts';
import { implementationHere } from './machine/implementation.ts';
import type { TrainOptions } from './records.ts';

/** The model with its head, the data, and how examples become the model's input. */
export interface TrainingSetup {
  architecture: Architecture;
  /** The base model's config.json, with the data's classes added. */
  config: Record<string, unknown>;
  data: TrainingData;
  objective: ObjectiveName;
  /** Weight of each class in the training loss; null: all equal. */
  classWeights: readonly number[] | null;
  layout: SequenceLayout;
  /** Why common prefixes of sequences are not computed once; null where they are. */
  whyNotShared: string | null;
}

/** Throws faults of the data, those of `checkAgainstModel`, and those of reading the adapter that training starts from. */
export async function setUpTraining(
  options: Pick<
    TrainOptions,
    | 'base'
    | 'peft'
    | 'training'
    | 'method'
    | 'trainingFile'
    | 'validationFile'
    | 'trainingFiles'
    | 'validationFiles'
    | 'initialAdapter'
    | 'data'
    | 'sharesBeginnings'
  >,
): Promise<TrainingSetup> {
  const { base, peft } = options;
  const task = peft.task_type;
  // Checked before the data is read, which may take long.
  const check = options.initialAdapter ? checkFilesAgainstModel : checkAgainstModel;
  check(peft, base.config, base.tensors);
  const startLabels = await labelsOfStart(options);
  const { method } = options;
  const read =
    options.data ??
    (await readTrainingData({
      ...options,
      tokenizer: loadTokenizerWith(base.tokenizerFiles, options.training.chat_template),
      modelConfig: base.config,
      headLabels: startLabels,
    }));
  // Data that trials of a sweep share is what the objective needs already.
  const data = options.data ?? examplesFor(read, objectiveFor(task, read.format, method), options.training);
  const sets = data.validationSets?.map(({ name }) => name) ?? [];
  checkObjectiveOptions(options.training, data.format, method, sets);
  checkMeasured(options.training, data);
  if (startLabels && data.labels !== startLabels)
    throw new GraftError(
      'unknown_label',
      `the adapter to continue has ${startLabels.length} classes (${startLabels.join(', ')}), and the data has ${data.labels?.join(', ')}; its head has no row for others`,
      { param: 'training_file' },
    );
  const {
    name: objective,
    hasLabelSets = false,
    learnsPrompts = false,
    isUnpaired: keepsBatches = false,
  } = objectiveFor(task, data.format, method);
  const problemType = hasLabelSets ? { problem_type: 'multi_label_classification' } : {};
  const config = data.labels ? { ...withLabels(base.config, data.labels), ...problemType } : base.config;
  const architecture = architectureFor(base.modelType, config, task);
  const { virtualTokens, prefixLength } = leadingPositions(peft);
  const { vocabularySize } = architecture;
  const invocation = invocationOf(peft);
  const whyNever = unshareable(architecture, data, options);
  const arrangement = arrangementFor(whyNever, () =>
    cheapestOnStock(
      data.training,
      options.training,
      { virtualTokens, vocabularySize, learnsPrompts, keepsBatches, invocation },
      data.mixed,
    ),
  );
  const whyNotShared =
    whyNever ?? (arrangement === 'shared' ? null : 'it is too little for operations without kernels');
  const { pooling, includePrompt } = await sequencePooling(base.path, architecture);
  const layout = {
    virtualTokens,
    vocabularySize,
    arrangement,
    classes: hasLabelSets ? (data.labels?.length ?? 0) : 0,
    firstPosition: prefixLength,
    pooling,
    includePrompt,
    learnsPrompts,
    keepsBatches,
    invocation,
  };
  const classWeights = classWeightsOf(options.training.class_weights, data);
  return { architecture, config, data, objective, classWeights, layout, whyNotShared };
}

/** Kernels process a list of positions directly; `onStock` returns the best arrangement without them where prefixes may be shared. */
function arrangementFor(whyNotShared: string | null, onStock: () => BatchLayout): BatchLayout {
  const stock = implementationHere() === 'stock';
  if (whyNotShared === null) return stock ? onStock() : 'shared';
  return stock ? 'grid' : 'flat';
}

/** The examples with what the objective adds to them. Throws `data_unfit_for_task`. */
export function examplesFor(
  data: TrainingData,
  { isUnpaired, method }: Objective,
  { batch_size: size, max_seq_length: length, seed }: TrainOptions['training'],
): TrainingData {
  if (!isUnpaired) return data;
  const unfit = (message: string) =>
    new GraftError('data_unfit_for_task', message, { param: 'training_file' });
  const isPair = ({ sequences }: TrainingExample) => sequences.length > 1;
  if (data.mixed && data.training.some(isPair))
    throw unfit(
      `the method ${method} takes pairs apart, which mix_strategy does not allow; use one training file, or lines of {"prompt", "completion", "label"}`,
    );
  const judged = (examples: readonly TrainingExample[]) => {
    const all = unpaired(examples);
    const order = data.mixed ? all : shuffled(all, new Random(seed, 'groups'));
    return withOtherCompletions(order, size, length);
  };
  const training = judged(data.training);
  const labels = new JudgedLabels(method);
  for (const example of training) labels.add(example);
  labels.check();
  // Validation files are measured apart, so none lends a completion to another.
  let first = 0;
  const counts = data.validationSets?.map(({ examples }) => examples) ?? [data.validation.length];
  const parts = counts.map((count) => {
    const own = data.validation.slice(first, first + count);
    first += count;
    return withOtherCompletions(unpaired(own), size, length);
  });
  const validationSets =
    data.validationSets?.map((set, i) => ({ ...set, examples: parts[i]!.length })) ?? null;
  return { ...data, training, validation: parts.flat(), validationSets };
}

function shuffled<T>(all: readonly T[], random: Random): T[] {
  return Array.from(permutation(all.length, random), (i) => all[i]!);
}

/** The reason why prefixes cannot be shared; null if all sequences with a common prefix compute the same for it. */
function unshareable(
  architecture: Architecture,
  data: TrainingData,
  { peft, training, sharesBeginnings = true }: Pick<TrainOptions, 'peft' | 'training' | 'sharesBeginnings'>,
): string | null {
  if (architecture.encoder) return 'an encoder reads each input by itself';
  if (architecture.attention !== 'causal') return 'each token sees those after it, too';
  if (architecture.recurrence) return 'layers with a state carry it through each example';
  const { drops, virtualTokens = 0, prefixLength = 0 } = attach(peft, architecture, 'trained');
  const { longOver = Number.POSITIVE_INFINITY } = architecture;
  if (training.max_seq_length + virtualTokens + prefixLength > longOver)
    return `a sequence of more than ${longOver} tokens has other rotary frequencies from its beginning on`;
  if (drops) return `${drops} draws for each example by itself`;
  if (architecture.drops) return 'the dropout of the base model draws for each example by itself';
  if (training.neftune_noise_alpha) return 'NEFTune draws noise for each example by itself';
  if (!sharesBeginnings) return 'it was asked not to be';
  const areTexts = ({ sequences }: TrainingExample) => sequences.length > 1 && !sequences[0]!.targets;
  return data.training.some(areTexts) ? 'an example is several texts' : null;
}

/** Only validation examples determine the best model and when to stop early. */
function checkMeasured(training: TrainOptions['training'], { validation }: TrainingData): void {
  const option = tracksBest(training);
  if (option === null || validation.length > 0) return;
  throw new GraftError(
    'invalid_training_option',
    `training.${option}: needs validation data, and there are no examples to measure the model on`,
    { param: `training.${option}` },
  );
}

/** Classes of the classifier's adapter that training starts from, in the order of its head's rows. */
async function labelsOfStart({
  base,
  peft: { task_type: task },
  initialAdapter,
}: Pick<TrainOptions, 'base' | 'peft' | 'initialAdapter'>): Promise<string[] | null> {
  if (!initialAdapter || !isClassifier(task)) return null;
  return adapterLabels(base, await readAdapterFor(base, initialAdapter));
}
