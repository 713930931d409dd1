import { resolve } from 'node:path';
import type {
  DataSize,
  LengthLimits,
  PeftConfig,
  ResolvedTraining,
  Sweep,
  SweepTrial,
} from '@graft/peft-core/config';
import type { FormatName, RawExample } from '@graft/peft-core/examples';
import type { BaseModel } from '@graft/peft-core/files';
import { jsonObjectArgument } from '../arguments.ts';
import { UsageError } from '../errors.ts';
import {
  chooseMethod,
  type PeftFlags,
  peftArgument,
  type TrainingFlags,
  trainingArgument,
} from '../job-options.ts';

/** The command-line options of a training. */
export interface TrainOptions extends PeftFlags, TrainingFlags {
  model: string;
  data: string;
  validation?: string;
  sweep?: string;
  epochs?: number;
  batchSize?: number;
  seed?: number;
  startFrom?: string;
}

interface LocalTraining {
  /** One trial, or those of a sweep. */
  trials: [SweepTrial<ResolvedTraining>, ...SweepTrial<ResolvedTraining>[]];
  /** Names of a sweep's trials; empty for plain training. */
  names: string[];
  /** Reasons for the values that all trials share. */
  reasons: Record<string, string>;
  /** Warning that validation examples are also training examples; null where there are none. */
  overlap: string | null;
}

/** Checks every option before TensorFlow is loaded, so that a typo does not cost a minute. */
export async function resolveLocalTraining(options: TrainOptions, base: BaseModel): Promise<LocalTraining> {
  const {
    choosePeft,
    defaultPeft,
    parsePeftConfig,
    parseSweep,
    parseTrainingOptions,
    trainingReasons,
    trialName,
    trialsOf,
  } = await import('@graft/peft-core/config');
  const { checkFormat, readDataFile } = await import('@graft/peft-core/examples');
  const given = await peftArgument(options, findMethod);
  const startPeft = options.startFrom === undefined ? null : await configOf(options.startFrom, given, base);
  const training = parseTrainingOptions(
    trainingArgument(options, {
      n_epochs: options.epochs,
      batch_size: options.batchSize,
      seed: options.seed,
    }) ?? {},
  );
  const sweep = options.sweep === undefined ? null : parseSweep(jsonObjectArgument('--sweep', options.sweep));
  const asked = sweep
    ? trialsOf(sweep, { peft: given, training, hyperparameters: {}, startPeft })
    : [{ peft: startPeft ?? parsePeftConfig(choosePeft(given ?? defaultPeft)), training }];
  const { examples, format, answerCharacters } = await readDataFile(options.data, training.columns);
  checkFormat(asked[0]!.peft.task_type, format);
  const held =
    options.validation === undefined
      ? []
      : (await readDataFile(options.validation, training.columns)).examples;
  const size = await measure({ training: examples, validation: held, format }, asked, base);
  const trials = await resolveTrials(asked, sweep, options, base, { answerCharacters, format, ...size });
  const [first] = trials;
  const overlap = await overlapOf(examples, held);
  const { learning_rate: ofRate, ...reasons } = trainingReasons(
    { ...asked[0]!, hyperparameters: {}, continues: startPeft !== null, peftGiven: given },
    first.training,
  );
  if (sweep) return { trials, names: trials.map(trialName), reasons, overlap };
  return {
    trials,
    names: [],
    reasons: ofRate === undefined ? reasons : { learning_rate: ofRate, ...reasons },
    overlap,
  };
}

/** Measures what the options depend on: the number of examples, and the longest example within the context. */
async function measure(
  { training, validation, format }: { training: RawExample[]; validation: RawExample[]; format: FormatName },
  asked: readonly SweepTrial[],
  base: BaseModel,
): Promise<DataSize & LengthLimits> {
  const { leadingPositions, seqLengthLimit } = await import('@graft/peft-core/config');
  const { formatOf, measureExamples, readingOptions } = await import('@graft/peft-core/examples');
  const { outlineOf } = await import('@graft/peft-core/outlines');
  const { loadTokenizerWith } = await import('@graft/peft-core/text');
  const {
    overlong = 'error',
    text_stride = 0,
    allow_special_tokens = false,
    chat_template,
    chat_template_kwargs = {},
    train_on = 'all_assistant',
    mask_reasoning = false,
    ...options
  } = asked[0]!.training;
  const { maxPositions: contextLength } = outlineOf(base.config);
  const splitsTexts = overlong === 'error' && Boolean(formatOf(format).splitsTexts);
  const limits = { contextLength, splitsTexts };
  const max_seq_length = Math.min(contextLength, options.max_seq_length ?? seqLengthLimit(limits));
  const lead = ({ peft }: SweepTrial) => {
    const { virtualTokens, prefixLength } = leadingPositions(peft);
    return virtualTokens + prefixLength;
  };
  const { peft } = asked.reduce((most, each) => (lead(each) > lead(most) ? each : most));
  const source = {
    peft,
    tokenizer: loadTokenizerWith(base.tokenizerFiles, chat_template),
    modelConfig: base.config,
    ...readingOptions({
      max_seq_length,
      overlong,
      text_stride,
      allow_special_tokens,
      chat_template_kwargs,
      train_on,
      mask_reasoning,
    }),
  };
  const trained = measureExamples(training, source);
  const held = measureExamples(validation, source);
  return {
    exampleCount: trained.examples || training.length,
    splitsTexts,
    longestExample: Math.max(trained.longest, held.longest),
  };
}

async function overlapOf(
  training: readonly RawExample[],
  held: readonly RawExample[],
): Promise<string | null> {
  const { overlapRemark } = await import('@graft/peft-core/config');
  const { OverlapCounter } = await import('@graft/peft-core/examples');
  const counter = new OverlapCounter();
  for (const example of training) counter.add(example, 'training_file');
  for (const example of held) counter.add(example, 'validation_file');
  const overlap = counter.overlap();
  return overlap && overlapRemark(overlap, held.length);
}

async function resolveTrials(
  asked: readonly SweepTrial[],
  sweep: Sweep | null,
  { validation, startFrom }: TrainOptions,
  base: BaseModel,
  data: DataSize & LengthLimits,
): Promise<LocalTraining['trials']> {
  const { nameTrial, resolveTraining, trialName } = await import('@graft/peft-core/config');
  const { outlineOf } = await import('@graft/peft-core/outlines');
  const model = outlineOf(base.config);
  const hasValidationFile = validation !== undefined;
  const [first, ...others] = asked.map(({ peft, training }) => {
    const given = {
      peft,
      training,
      model,
      ...data,
      hasValidationFile,
      continues: startFrom !== undefined,
      contextLength: model.maxPositions,
    };
    try {
      return { peft, training: resolveTraining({ ...given, ...(sweep && { trials: asked.length }) }) };
    } catch (error) {
      throw sweep ? nameTrial(error, sweep, trialName({ peft, training })) : error;
    }
  });
  return [first!, ...others];
}

/**
 * The configuration of the adapter to continue from. Training uses exactly this configuration: with another rank the weights would not
 * fit, with another scale they would have a different effect.
 */
async function configOf(folder: string, peft: unknown, base: BaseModel): Promise<PeftConfig> {
  if (peft !== undefined)
    throw new UsageError(
      '--start-from continues an adapter with its own configuration: leave out --peft, --peft-type and --rank.',
    );
  const { readAdapter } = await import('@graft/peft-core/files');
  const { defaultTask } = await import('@graft/peft-core/outlines');
  return (await readAdapter(resolve(folder), defaultTask(base.config))).config;
}

async function findMethod(asked: string | undefined) {
  const { defaultPeft, methods } = await import('@graft/peft-core/config');
  const known = Object.entries(methods).map(([peftType, { usual, schema }]) => {
    return { peftType, usual, properties: schema.properties };
  });
  return chooseMethod(asked, defaultPeft, known);
}
