import { usesGraftKernels } from '@graft/tf-graph';
import { readSentencePrompts, type SentencePrompts, trainedPrompts } from '../base-model/sentence-prompts.ts';
import { GraftError } from '../errors.ts';
import {
  type BatchLayout,
  cheapestOnStock,
  classWeightsOf,
  examplesFor,
  readTrainingData,
  type SequenceLayout,
  type TrainingData,
  type TrainingExample,
} from '../examples/index.ts';
import { sequencePooling } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { architectureFor } from '../models/registry.ts';
import { checkObjectiveOptions } from '../objectives/check-options.ts';
import type { Objective } from '../objectives/objective.ts';
import type { ObjectiveName } from '../objectives/objectives.ts';
import { isClassifier } from '../outlines/index.ts';
import { withLabels } from '../outlines/label-names.ts';
import { adapterLabels } from '../peft-model/adapter-architecture.ts';
import { readAdapterFor } from '../peft-model/adapter-fit.ts';
import { loadTokenizerWith } from '../text/index.ts';
import { checkAgainstModel, checkFilesAgainstModel } from '../tuners/check.ts';
import { invocationOf, leadingPositions } from '../tuners/methods.ts';
import { attach } from '../tuners/registry.ts';
import type { Attachment } from '../tuners/tuner.ts';
import { baseStorage } from '../weights/base-storage.ts';
import { lossOptions } from './objectives/losses.ts';
import { effectivePrecision } from './precision.ts';
import type { TrainOptions } from './records.ts';
import type { TrainProgramSpec } from './train-program.ts';

/** Inputs of a run's computation: the model with its head, the data, how examples become the model's input, and how programs compute. */
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
  /** How its programs compute. `storage`: of the frozen weights, in training. */
  computation: Required<
    Pick<TrainProgramSpec, 'classes' | 'options' | 'storage' | 'precision' | 'implementation' | 'retrieves'>
  >;
  /** True if examples are compared with the model as it was before training: preferences, unless reference_free. */
  needsReference: boolean;
  /** The prompts by which texts are embedded with the adapter; null: none, or the adapter is of another task. */
  sentencePrompts: SentencePrompts | null;
  /** True if an encoder derives what the adapter's files hold from the trained parameters. */
  encodes: boolean;
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
  const { base, peft, training } = options;
  const task = peft.task_type;
  // Checked before the data is read, which may take long.
  const check = options.initialAdapter ? checkFilesAgainstModel : checkAgainstModel;
  check(peft, base.config, base.tensors);
  const startLabels = await labelsOfStart(options);
  const read =
    options.data ??
    (await readTrainingData({
      ...options,
      tokenizer: loadTokenizerWith(base.tokenizerFiles, training.chat_template),
      modelConfig: base.config,
      headLabels: startLabels,
    }));
  const sets = read.validationSets?.map(({ name }) => name) ?? [];
  const objective: Objective & { name: ObjectiveName } = checkObjectiveOptions(
    training,
    read.format,
    options.method,
    sets,
  );
  // Data that trials of a sweep share is what the objective needs already.
  const data = options.data ?? examplesFor(read, objective, training);
  checkMeasured(training, data);
  if (startLabels && data.labels !== startLabels)
    throw new GraftError(
      'unknown_label',
      `the adapter to continue has ${startLabels.length} classes (${startLabels.join(', ')}), and the data has ${data.labels?.join(', ')}; its head has no row for others`,
      { param: 'training_file' },
    );
  const { hasLabelSets = false, learnsPrompts = false, isUnpaired: keepsBatches = false } = objective;
  const problemType = hasLabelSets ? { problem_type: 'multi_label_classification' } : {};
  const config = data.labels ? { ...withLabels(base.config, data.labels), ...problemType } : base.config;
  const architecture = architectureFor(base.modelType, config, task);
  const { virtualTokens, prefixLength } = leadingPositions(peft);
  const { vocabularySize } = architecture;
  const invocation = invocationOf(peft);
  const attachment = attach(peft, architecture, 'trained');
  const whyNever = unshareable(architecture, data, options, attachment);
  const implementation = usesGraftKernels() ? 'kernels' : 'stock';
  // Kernels process a list of positions directly.
  let arrangement: BatchLayout = implementation === 'kernels' ? 'flat' : 'grid';
  if (whyNever === null)
    arrangement =
      implementation === 'kernels'
        ? 'shared'
        : cheapestOnStock(
            data.training,
            training,
            { virtualTokens, vocabularySize, learnsPrompts, keepsBatches, invocation },
            data.mixed,
          );
  const whyNotShared =
    whyNever ?? (arrangement === 'shared' ? null : 'it is too little for operations without kernels');
  const { pooling, includePrompt } = await sequencePooling(base.path, architecture);
  const { promptColumns } = objective;
  const basePrompts = promptColumns ? await readSentencePrompts(base.path) : null;
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
  const precision = effectivePrecision(training.precision);
  return {
    architecture,
    config,
    data,
    objective: objective.name,
    classWeights: classWeightsOf(training.class_weights, data),
    layout,
    whyNotShared,
    computation: {
      classes: layout.classes,
      options: lossOptions(objective.name, training),
      storage: baseStorage(training.base_dtype, precision),
      precision,
      implementation,
      retrieves: training.mini_batch_size !== undefined,
    },
    needsReference: objective.passes.includes('reference') && training.preference?.reference_free !== true,
    sentencePrompts: promptColumns ? trainedPrompts(basePrompts, training.prompts, promptColumns) : null,
    encodes: attachment.derive !== undefined,
  };
}

/** The reason why prefixes cannot be shared; null if all sequences with a common prefix compute the same for it. */
function unshareable(
  architecture: Architecture,
  data: TrainingData,
  { training, sharesBeginnings = true }: Pick<TrainOptions, 'training' | 'sharesBeginnings'>,
  { drops, virtualTokens = 0, prefixLength = 0 }: Attachment,
): string | null {
  if (architecture.encoder) return 'an encoder reads each input by itself';
  if (architecture.attention !== 'causal') return 'each token sees those after it, too';
  if (architecture.recurrence) return 'layers with a state carry it through each example';
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
function checkMeasured(training: Partial<TrainOptions['training']>, { validation }: TrainingData): void {
  if (validation.length > 0) return;
  // Jobs of earlier versions have none of these options.
  const stops = (training.early_stopping_patience ?? null) !== null;
  if (!stops && !training.load_best_model_at_end) return;
  const option = stops ? 'early_stopping_patience' : 'load_best_model_at_end';
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
