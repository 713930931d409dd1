// Flags for the most common options of a job, besides JSON for all options: for jobs on a service and for local training.
import { preferenceMethods } from '@graft/wire/lists';
import { type Command, InvalidArgumentError } from 'commander';
import { UsageError } from '../errors.ts';
import {
  anyNumber,
  columnsArgument,
  columnsHelp,
  given,
  jsonObjectArgument,
  wholeNumber,
} from './arguments.ts';
import { mixArgument } from './data-arguments.ts';

export interface PeftFlags {
  peft?: string;
  peftType?: string;
  rank?: number;
  task?: string;
}

export interface TrainingFlags {
  training?: string;
  learningRate?: number;
  maxSteps?: number;
  mix?: string;
  columns?: Record<string, string>;
  /** `method.type` of a job. */
  method?: string;
  beta?: number;
}

const SUPERVISED = 'supervised';

/** A method's default configuration, and whether the method has a rank. */
interface KnownMethod {
  peftType: string;
  usual: Record<string, unknown>;
  hasRank: boolean;
}

/** Finds a method by its `peft_type`; undefined: the default method of a job. */
export type FindMethod = (peftType: string | undefined) => Promise<KnownMethod>;

/** The method for `--peft-type`, or the default one. Throws UsageError for an unknown method. */
export function chooseMethod(
  asked: string | undefined,
  { peft_type: usualType, ...usualOptions }: { peft_type?: unknown },
  methods: readonly { peftType: string; usual: object; properties: Record<string, unknown> }[],
): KnownMethod {
  const peftType = asked ?? String(usualType);
  const method = methods.find((each) => each.peftType === peftType);
  if (method === undefined) {
    const names = methods.map((each) => each.peftType.toLowerCase()).join(', ');
    throw new UsageError(`--peft-type: there is no method ${asked}, only ${names}.`);
  }
  const usual = peftType === usualType ? usualOptions : { ...method.usual };
  return { peftType, usual, hasRank: 'r' in method.properties };
}

export function takeJobOptions<C extends Command>(command: C): C {
  return command
    .option(
      '--peft-type <method>',
      'PEFT method with its default options, by its name in docs/methods.md',
      peftType,
    )
    .option('--rank <n>', "rank r, for methods that have one (default: the method's)", wholeNumber(1))
    .option('--learning-rate <x>', "peak learning rate (default: the method's)", anyNumber)
    .option(
      '--epochs <n>',
      'passes over the data (default: chosen by the number of examples)',
      wholeNumber(1),
    )
    .option('--max-steps <n>', 'train for this many steps, regardless of --epochs', wholeNumber(1))
    .option(
      '--batch-size <n>',
      'examples per forward and backward pass (default: 8, or all if there are fewer)',
      wholeNumber(1),
    )
    .option(
      '--method <method>',
      `training method, as in OpenAI's jobs: ${SUPERVISED}, or of preferences ${preferenceMethods.join(', ')} (default: the one for the lines of the data)`,
      trainingMethod,
    )
    .option(
      '--beta <x>',
      'training.preference.beta of methods that learn from preferences, above 0 (default: 0.1; of simpo 2)',
      anyNumber,
    )
    .option(
      '--task <task>',
      'what the adapter does: causal_lm, seq_cls, token_cls, seq_2_seq_lm, feature_extraction (default: the one for the lines of the data)',
      peftType,
    )
    .option('--columns <mapping>', columnsHelp, columnsArgument)
    .option(
      '--peft <json>',
      'all options of the method as JSON, or @file: {"peft_type": …, "r": 8, …}; see docs/methods.md',
    )
    .option(
      '--training <json>',
      'training options as JSON, or @file: {"max_seq_length": 512, "base_dtype": "nf4", …}; see docs/training.md',
    );
}

/** Converts a method's name to the form used in requests: upper case, with underscores. */
function peftType(text: string): string {
  if (!/^[a-z0-9_-]{2,40}$/i.test(text))
    throw new InvalidArgumentError('It must be the name of a method; docs/methods.md lists them.');
  return text.toUpperCase().replaceAll('-', '_');
}

/** Converts a training method to the form used in requests. Whether it exists is checked with the request. */
function trainingMethod(text: string): string {
  if (!/^[a-z]{2,40}$/i.test(text))
    throw new InvalidArgumentError(`It must be ${[SUPERVISED, ...preferenceMethods].join(' or ')}.`);
  return text.toLowerCase();
}

/** `peft` for a request; undefined where no flag sets it. Throws UsageError. */
export async function peftArgument(
  { peft, peftType, rank, task }: PeftFlags,
  find: FindMethod,
): Promise<Record<string, unknown> | undefined> {
  const flags = given({ peft_type: peftType, r: rank, task_type: task });
  if (peft !== undefined) return withFlags('--peft', jsonObjectArgument('--peft', peft), flags);
  if (Object.keys(flags).length === 0) return undefined;
  // The service chooses the other options to suit the task.
  if (task !== undefined && rank === undefined) return flags;
  const method = await find(peftType);
  if (rank !== undefined && !method.hasRank)
    throw new UsageError(`--rank: ${method.peftType} has no rank. Its options are in docs/methods.md.`);
  return { ...method.usual, ...flags, peft_type: method.peftType };
}

/** `training` for a request, with values of `more` flags; undefined where nothing is set. Throws UsageError. */
export function trainingArgument(
  { training, learningRate, maxSteps, columns, method, beta, ...flags }: TrainingFlags,
  more: Record<string, unknown> = {},
): Record<string, unknown> | undefined {
  if (beta !== undefined && method === SUPERVISED)
    throw new UsageError(
      `--beta is of methods that learn from preferences, and --method is ${SUPERVISED}: leave --beta out, or give --method ${preferenceMethods.join(' or ')}.`,
    );
  const values = given({
    learning_rate: learningRate,
    max_steps: maxSteps,
    columns,
    ...mixArgument(flags),
    ...more,
  });
  if (training !== undefined) {
    const json = withFlags('--training', jsonObjectArgument('--training', training), values);
    return beta === undefined ? json : { ...json, preference: withBeta(json.preference, beta) };
  }
  if (beta !== undefined) return { ...values, preference: { beta } };
  return Object.keys(values).length === 0 ? undefined : values;
}

/** `training.preference` of JSON with the flag's beta. */
function withBeta(preference: unknown, beta: number): unknown {
  if (preference === undefined) return { beta };
  // The parser reports that it is not an object.
  if (typeof preference !== 'object' || preference === null || Array.isArray(preference)) return preference;
  return withFlags('--training', preference as Record<string, unknown>, { beta });
}

const flagOf: Record<string, string> = {
  peft_type: '--peft-type',
  task_type: '--task',
  r: '--rank',
  learning_rate: '--learning-rate',
  max_steps: '--max-steps',
  n_epochs: '--epochs',
  batch_size: '--batch-size',
  max_seq_length: '--max-seq-length',
  seed: '--seed',
  mix_strategy: '--mix',
  columns: '--columns',
  beta: '--beta',
};

/** Merges the options in JSON with those from flags. Throws UsageError for an option in both. */
function withFlags(
  option: string,
  json: Record<string, unknown>,
  flags: Record<string, unknown>,
): Record<string, unknown> {
  for (const name of Object.keys(flags))
    if (Object.hasOwn(json, name))
      throw new UsageError(`${flagOf[name]} and ${option} both set ${name}: leave one out.`);
  return { ...json, ...flags };
}
