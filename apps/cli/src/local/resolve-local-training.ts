import { resolve } from 'node:path';
import type {
  DataSize,
  KnownTemplates,
  LengthLimits,
  Mixture,
  ResolvedTraining,
  Sweep,
  SweepTrial,
} from '@graft/peft-core/config';
import type { DataFiles, FormatName, PlannedTrials, RawExample } from '@graft/peft-core/examples';
import type { Adapter, BaseModel, SentencePrompts } from '@graft/peft-core/files';
import { UsageError } from '../errors.ts';
import { jsonObjectArgument } from '../options/arguments.ts';
import { type DataFlags, dataArguments, isPlain, shareOf } from '../options/data-arguments.ts';
import {
  chooseMethod,
  type PeftFlags,
  peftArgument,
  type TrainingFlags,
  trainingArgument,
} from '../options/job-options.ts';
import { dataPath, isDataPath } from './data-path.ts';

export interface TrainOptions extends DataFlags, PeftFlags, TrainingFlags {
  model: string;
  mix?: string;
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
  files: DataFiles;
}

/**
 * Checks every option before TensorFlow is loaded, so that a typo does not cost a minute. `note` is called when a data set of the Hub is
 * fetched.
 */
export async function resolveLocalTraining(
  options: TrainOptions,
  base: BaseModel,
  note: (text: string) => void,
): Promise<LocalTraining> {
  const { mixtureOf, objectiveFor, resolvePrompts, trainingReasons, trialName, unreadRemark } = await import(
    '@graft/peft-core/config'
  );
  const { checkFormat, planTrials, readDataFile } = await import('@graft/peft-core/examples');
  const { defaultTask } = await import('@graft/peft-core/outlines');
  const given = await peftArgument(options, findMethod);
  const start = options.startFrom === undefined ? null : await startOf(options.startFrom, given, base);
  const startPeft = start?.config ?? null;
  const startTemplate = start?.chatTemplate ?? null;
  const baseTemplate = base.tokenizerFiles.chatTemplate;
  const { readSentencePrompts } = await import('@graft/peft-core/files');
  const sentencePrompts = start ? start.sentencePrompts : await readSentencePrompts(base.path);
  const request = {
    peft: given,
    training: trainingArgument(options, {
      n_epochs: options.epochs,
      batch_size: options.batchSize,
      seed: options.seed,
    }),
    sweep: options.sweep === undefined ? null : jsonObjectArgument('--sweep', options.sweep),
  };
  const known = { modelTask: defaultTask(base.config), startPeft };
  // Reports faults of the options before a data set is fetched.
  const { training, sweep } = planTrials(request, { ...known, format: null });
  const files = await localFiles(options, training.mix_strategy, note);
  const trained = [];
  for (const { path } of files.trainingFiles ?? [{ path: files.trainingFile }]) {
    const read = await readDataFile(path, training.columns, training.on_bad_lines);
    const unread = training.columns
      ? null
      : unreadRemark(read.unread.map((each) => ({ param: path, ...each })));
    if (unread) note(unread);
    trained.push(read);
  }
  const held = [];
  for (const path of files.validationFiles?.map((file) => file.path) ?? [files.validationFile ?? ''])
    if (path !== '')
      held.push(...(await readDataFile(path, training.columns, training.on_bad_lines)).examples);
  const [{ format }] = trained as [(typeof trained)[0]];
  const plan = planTrials(request, { ...known, format });
  const { peft, trials: asked } = plan;
  checkFormat(peft.task_type, format);
  const { method = null } = options;
  const sets = files.validationFiles?.map(({ name }) => name) ?? [];
  await checkMethod(plan, method, format, sets);
  const examples = trained.flatMap((file) => file.examples);
  const answerCharacters = trained.reduce<number | null>(
    (sum, file) => (sum === null || file.answerCharacters === null ? null : sum + file.answerCharacters),
    0,
  );
  const mixture = mixtureOf(files.trainingFiles ?? [], training.mix_strategy);
  const data = { training: trained.map((file) => file.examples), validation: held, format, mixture };
  const objective = objectiveFor(peft.task_type, format, method);
  const { prompts = {} } = resolvePrompts(training, objective, sentencePrompts);
  const size = await measure({ ...data, prompts }, asked, base, { startTemplate, baseTemplate });
  const trials = await resolveTrials(asked, sweep, options, base, {
    // The mean is that of the examples as they are read.
    answerCharacters:
      answerCharacters && Math.round((answerCharacters * size.exampleCount) / Math.max(1, size.read)),
    format,
    method,
    startTemplate,
    baseTemplate,
    sentencePrompts,
    ...size,
  });
  const [first] = trials;
  const overlap = await overlapOf(examples, held);
  const { learning_rate: ofRate, ...reasons } = trainingReasons(
    {
      ...plan,
      hyperparameters: {},
      continues: startPeft !== null,
      peftGiven: given,
      method: objective.method,
    },
    first.training,
  );
  if (sweep) return { trials, names: trials.map(trialName), reasons, overlap, files };
  return {
    trials,
    names: [],
    reasons: ofRate === undefined ? reasons : { learning_rate: ofRate, ...reasons },
    overlap,
    files,
  };
}

async function checkMethod(
  plan: PlannedTrials,
  method: string | null,
  format: FormatName,
  sets: readonly string[],
): Promise<void> {
  const { GraftError, trainingMethods } = await import('@graft/peft-core/config');
  const { checkTrainingMethod } = await import('@graft/peft-core/examples');
  if (method !== null && !trainingMethods.includes(method))
    throw new UsageError(`--method: there is no method ${method}, only ${trainingMethods.join(', ')}.`);
  try {
    checkTrainingMethod(plan, method, format, sets);
  } catch (error) {
    if (!(error instanceof GraftError && error.param === 'method.type')) throw error;
    throw new UsageError(error.message.replace(/^method\.type: /, '--method: '));
  }
}

/** The files of the arguments, without lists where there is one of a kind. */
async function localFiles(
  options: TrainOptions,
  strategy: string | undefined,
  note: (text: string) => void,
): Promise<DataFiles> {
  const { namesOfSets } = await import('@graft/peft-core/config');
  const { training, validation } = dataArguments(options, isDataPath);
  const names = namesOfSets(validation.map(({ file, name }) => ({ name, filename: file })));
  const pathOf = async (file: string) => resolve(await dataPath(file, note));
  const trained: { path: string; label: string; weight?: number; epochs?: number }[] = [];
  for (const each of training) {
    const path = await pathOf(each.file);
    trained.push({ path, label: each.file, ...shareOf(each, strategy) });
  }
  const held: { path: string; label: string; name: string }[] = [];
  for (const [i, { file }] of validation.entries())
    held.push({ path: await pathOf(file), label: file, name: names[i]! });
  return {
    trainingFile: trained[0]!.path,
    validationFile: held[0]?.path ?? null,
    trainingFiles: isPlain.training(training) ? null : trained,
    validationFiles: isPlain.validation(validation) ? null : held,
  };
}

/** Measures what the options depend on: the number of examples, and the longest example within the context. */
async function measure(
  {
    training,
    validation,
    format,
    mixture,
    prompts,
  }: {
    training: RawExample[][];
    validation: RawExample[];
    format: FormatName;
    mixture: Mixture | null;
    prompts: Record<string, string>;
  },
  asked: readonly SweepTrial[],
  base: BaseModel,
  templates: KnownTemplates,
): Promise<DataSize & LengthLimits & { read: number }> {
  const { epochExamples, longestLead, ownTemplate, seqLengthLimit } = await import('@graft/peft-core/config');
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
  const source = {
    peft: longestLead(asked),
    tokenizer: loadTokenizerWith(base.tokenizerFiles, ownTemplate(chat_template, templates)),
    modelConfig: base.config,
    ...readingOptions({
      max_seq_length,
      overlong,
      text_stride,
      allow_special_tokens,
      chat_template_kwargs,
      train_on,
      mask_reasoning,
      prompts,
    }),
  };
  const trained = training.map((examples) => measureExamples(examples, source));
  const counts = trained.map(({ examples }, i) => examples || training[i]!.length);
  const held = measureExamples(validation, source);
  return {
    exampleCount: epochExamples(counts, mixture),
    read: counts.reduce((sum, count) => sum + count, 0),
    splitsTexts,
    longestExample: Math.max(...trained.map(({ longest }) => longest), held.longest),
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
  data: DataSize & LengthLimits & KnownTemplates & { sentencePrompts: SentencePrompts | null },
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
 * The adapter to continue from. Training uses exactly its configuration: with another rank the weights would not fit, with another scale they
 * would have a different effect. Its own chat template replaces the base model's by default.
 */
async function startOf(
  folder: string,
  peft: unknown,
  base: BaseModel,
): Promise<Pick<Adapter, 'config' | 'chatTemplate' | 'sentencePrompts'>> {
  if (peft !== undefined)
    throw new UsageError(
      '--start-from continues an adapter with its own configuration: leave out --peft, --peft-type and --rank.',
    );
  const { readAdapter } = await import('@graft/peft-core/files');
  const { defaultTask } = await import('@graft/peft-core/outlines');
  return await readAdapter(resolve(folder), defaultTask(base.config));
}

async function findMethod(asked: string | undefined) {
  const { defaultPeft, methods } = await import('@graft/peft-core/config');
  const known = Object.entries(methods).map(([peftType, { usual, schema }]) => {
    return { peftType, usual, properties: schema.properties };
  });
  return chooseMethod(asked, defaultPeft, known);
}
