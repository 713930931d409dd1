import { resolve } from 'node:path';
import type { ResolvedTraining, SweepTrial } from '@graft/peft-core/config';
import type { DataFiles, FormatName, PlannedTrials, RawExample } from '@graft/peft-core/examples';
import type { Adapter, BaseModel } from '@graft/peft-core/files';
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
  const { checkAgainstModel } = await import('@graft/peft-core/check');
  const { epochSize, longestLead, mixtureOf, objectiveFor, trainingReasons, trialName, unreadRemark } =
    await import('@graft/peft-core/config');
  const {
    checkFormats,
    checkSplit,
    filesOf,
    formatOf,
    measureExamples,
    planTrials,
    readDataFile,
    readingOptions,
    resolveTrials,
  } = await import('@graft/peft-core/examples');
  const { readSentencePrompts } = await import('@graft/peft-core/files');
  const { defaultTask } = await import('@graft/peft-core/outlines');
  const { loadTokenizerWith } = await import('@graft/peft-core/text');
  const given = await peftArgument(options, findMethod);
  const start = options.startFrom === undefined ? null : await startOf(options.startFrom, given, base);
  const prompts = start ? start.sentencePrompts : await readSentencePrompts(base.path);
  const request = {
    peft: given,
    training: trainingArgument(options, {
      n_epochs: options.epochs,
      batch_size: options.batchSize,
      seed: options.seed,
    }),
    sweep: options.sweep === undefined ? null : jsonObjectArgument('--sweep', options.sweep),
  };
  const known = { modelTask: defaultTask(base.config), startPeft: start?.config ?? null };
  // Reports faults of the options before a data set is fetched.
  const { training, sweep } = planTrials(request, { ...known, format: null });
  const files = await localFiles(options, training.mix_strategy, note);
  checkSplit(
    training,
    files.validationFiles ? 'validation_files' : files.validationFile && 'validation_file',
  );
  const trained: Awaited<ReturnType<typeof readDataFile>>[] = [];
  const held: typeof trained = [];
  const named = [...filesOf(files, 'training_file'), ...filesOf(files, 'validation_file')];
  for (const { role, path } of named) {
    const read = await readDataFile(path, training.columns, training.on_bad_lines);
    const isTraining = role === 'training_file';
    const unread =
      isTraining && !training.columns
        ? unreadRemark(read.unread.map((each) => ({ param: path, ...each })))
        : null;
    if (unread) note(unread);
    (isTraining ? trained : held).push(read);
  }
  const { format } = trained[0]!;
  const plan = planTrials(request, { ...known, format });
  const formats = [...trained, ...held].map(({ format }, i) => {
    const { param, prefix } = named[i]!;
    return { format, param, name: prefix.slice(0, -2) || param };
  });
  checkFormats(plan.peft, formats, Boolean(files.trainingFiles ?? files.validationFiles));
  const sets = files.validationFiles?.map(({ name }) => name) ?? [];
  await checkMethod(plan, options.method, format, sets);
  const { method } = objectiveFor(plan.peft.task_type, format, options.method);
  const job = {
    method,
    continues: start !== null,
    startTemplate: start?.chatTemplate ?? null,
    hasValidationFile: files.validationFile !== null,
  };
  const { chatTemplate } = base.tokenizerFiles;
  const model = { config: base.config, smallFiles: { chatTemplate, prompts } };
  const mixture = mixtureOf(files.trainingFiles ?? [], training.mix_strategy);
  const sizeOf = (counts: readonly (number | null)[]) => {
    const sizes = trained.map(({ answerCharacters }, i) => ({ examples: counts[i]!, answerCharacters }));
    return { format, ...epochSize(sizes, mixture) };
  };
  // The examples are measured with the options known so far, and up to the greatest length. The pieces of split texts are not counted yet.
  const { splitsTexts = false } = formatOf(format);
  const lines = sizeOf(trained.map(({ examples }) => (splitsTexts ? null : examples.length)));
  const [reading] = await resolveTrials(
    plan,
    job,
    { ...lines, longestExample: Number.POSITIVE_INFINITY },
    model,
    { peft: start === null && (async (peft) => checkAgainstModel(peft, base.config, base.tensors)) },
  );
  const source = {
    peft: longestLead(plan.trials),
    tokenizer: loadTokenizerWith(base.tokenizerFiles, reading!.chat_template ?? null),
    modelConfig: base.config,
    ...readingOptions(reading!),
  };
  const heldExamples = held.flatMap((file) => file.examples);
  const measured = trained.map(({ examples }) => measureExamples(examples, source));
  const longestExample = Math.max(
    ...[...measured, measureExamples(heldExamples, source)].map(({ longest }) => longest),
  );
  const counts = measured.map(({ examples }, i) => examples || trained[i]!.examples.length);
  const resolved = await resolveTrials(plan, job, { ...sizeOf(counts), longestExample }, model);
  const [first, ...others] = resolved.map((training, i) => ({ peft: plan.trials[i]!.peft, training }));
  const trials: LocalTraining['trials'] = [first!, ...others];
  const overlap = await overlapOf(
    trained.flatMap((file) => file.examples),
    heldExamples,
  );
  const { learning_rate: ofRate, ...reasons } = trainingReasons(
    { ...plan, hyperparameters: {}, continues: start !== null, peftGiven: given, method },
    trials[0].training,
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
  method: string | undefined,
  format: FormatName,
  sets: readonly string[],
): Promise<void> {
  const { GraftError, trainingMethods } = await import('@graft/peft-core/config');
  const { checkTrainingMethod } = await import('@graft/peft-core/examples');
  if (method !== undefined && !trainingMethods.includes(method))
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
