// Flags for the most common options of a job, besides JSON for all options: for jobs on a service and for local training.
import { type Command, InvalidArgumentError } from 'commander';
import { anyNumber, jsonObjectArgument, wholeNumber } from './arguments.ts';
import { UsageError } from './errors.ts';

export interface PeftFlags {
  peft?: string;
  peftType?: string;
  rank?: number;
}

export interface TrainingFlags {
  training?: string;
  learningRate?: number;
  maxSteps?: number;
}

/** A method's default configuration, and whether the method has a rank. */
export interface KnownMethod {
  usual: Record<string, unknown>;
  hasRank: boolean;
}

/** Finds a method by its `peft_type`; undefined: the default method of a job. */
export type FindMethod = (peftType: string | undefined) => Promise<{ peftType: string } & KnownMethod>;

/** Declares the flags of `peft` and `training`. */
export function takeJobOptions(command: Command): Command {
  return command
    .option(
      '--peft-type <method>',
      'PEFT method with its default options, such as lora; docs/methods.md lists all',
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
      '--peft <json>',
      'all options of the method as JSON, or @file: {"peft_type": "LORA", "r": 8, …}, with a task_type for tasks other than generating text; see docs/methods.md',
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

/** `peft` for a request; undefined where no flag sets it. Throws UsageError. */
export async function peftArgument(
  { peft, peftType, rank }: PeftFlags,
  find: FindMethod,
): Promise<Record<string, unknown> | undefined> {
  const flags = present({ peft_type: peftType, r: rank });
  if (peft !== undefined)
    return withFlags('--peft', jsonObjectArgument('--peft', peft), flags, {
      peft_type: '--peft-type',
      r: '--rank',
    });
  if (Object.keys(flags).length === 0) return undefined;
  const method = await find(peftType);
  if (rank !== undefined && !method.hasRank)
    throw new UsageError(`--rank: ${method.peftType} has no rank. Its options are in docs/methods.md.`);
  return { peft_type: method.peftType, ...method.usual, ...present({ r: rank }) };
}

/** `training` for a request, with `more` flags; undefined where nothing is set. Throws UsageError. */
export function trainingArgument(
  { training, learningRate, maxSteps }: TrainingFlags,
  more: Record<string, [flag: string, value: unknown]> = {},
): Record<string, unknown> | undefined {
  const flags = {
    learning_rate: ['--learning-rate', learningRate],
    max_steps: ['--max-steps', maxSteps],
    ...more,
  } as Record<string, [string, unknown]>;
  const values = present(Object.fromEntries(Object.entries(flags).map(([name, [, value]]) => [name, value])));
  const names = Object.fromEntries(Object.entries(flags).map(([name, [flag]]) => [name, flag]));
  if (training !== undefined)
    return withFlags('--training', jsonObjectArgument('--training', training), values, names);
  return Object.keys(values).length === 0 ? undefined : values;
}

/** Merges the options in JSON with those from flags. Throws UsageError for an option in both. */
function withFlags(
  option: string,
  given: Record<string, unknown>,
  flags: Record<string, unknown>,
  names: Record<string, string>,
): Record<string, unknown> {
  for (const name of Object.keys(flags))
    if (Object.hasOwn(given, name))
      throw new UsageError(`${names[name]} and ${option} both set ${name}: leave one out.`);
  return { ...given, ...flags };
}

const present = (options: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
