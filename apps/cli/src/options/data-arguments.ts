// --data and --validation, each given once or several times, for jobs on a service and for local training.
import { existsSync } from 'node:fs';
import { MAX_DATA_FILES, mixStrategies } from '@graft/wire/lists';
import type { Command } from 'commander';
import { Option } from 'commander';
import { UsageError } from '../errors.ts';

export interface DataFlags {
  data: string[];
  validation?: string[];
  mix?: string;
  columns?: Record<string, string>;
}

/** A training file and its number: its weight with --mix interleave_…, else its epochs. */
export interface DataArgument {
  file: string;
  share: number | null;
}

export interface ValidationArgument {
  file: string;
  name: string | null;
}

/** Declares --data, --validation and --mix; `data` and `validation` describe a file. */
export function takeDataOptions<C extends Command>(
  command: C,
  { data, validation }: { data: string; validation: string },
): C {
  const add = (text: string, before: string[] = []) => [...before, text];
  return command
    .requiredOption(
      '--data <file[:n]>',
      `${data}; repeatable, with how often each epoch has it or, with --mix interleave_…, its weight`,
      add,
    )
    .option(
      '--validation <[name=]file>',
      `${validation}; repeatable, each with its own metrics eval_<name>_loss`,
      add,
    )
    .addOption(
      new Option('--mix <strategy>', 'how several training files are mixed; see docs/jobs.md').choices(
        mixStrategies,
      ),
    );
}

/** `training` options that --mix sets. */
export const mixArgument = ({ mix }: Pick<DataFlags, 'mix'>): { mix_strategy?: string } =>
  mix === undefined ? {} : { mix_strategy: mix };

/** Throws UsageError for a file that `isKnown` does not know; `otherwise` ends its message, with what else a file may be. */
export function dataArguments(
  { data, validation = [] }: DataFlags,
  isKnown: (file: string) => boolean = existsSync,
  otherwise = '',
): { training: DataArgument[]; validation: ValidationArgument[] } {
  const missing = (option: string, text: string) =>
    new UsageError(`${option}: there is no file ${text}${otherwise}.`);
  const training = data.map((text) => {
    // A colon may be part of a path.
    if (isKnown(text)) return { file: text, share: null };
    const [, file = text, number] = /^(.*):([^:]*)$/s.exec(text) ?? [];
    if (!isKnown(file)) throw missing('--data', text);
    const share = Number(number);
    if (!/^\d*\.?\d+$/.test(number ?? '') || share <= 0)
      throw new UsageError(`--data: ${number} after the last colon of ${text} must be a number above 0.`);
    return { file, share };
  });
  const held = validation.map((text) => {
    if (isKnown(text)) return { file: text, name: null };
    const [, name = null, file = text] = /^([a-z0-9_]+)=(.*)$/s.exec(text) ?? [];
    if (!isKnown(file)) throw missing('--validation', text);
    return { file, name };
  });
  for (const [option, { length }] of [
    ['--data', training],
    ['--validation', held],
  ] as const)
    if (length > MAX_DATA_FILES)
      throw new UsageError(`${option}: ${length} files; the limit is ${MAX_DATA_FILES}.`);
  return { training, validation: held };
}

/** True where the files are one of each kind, without a number or a name: a job without lists. */
export const isPlain = {
  training: (files: readonly DataArgument[]): boolean => files.length === 1 && files[0]!.share === null,
  validation: (files: readonly ValidationArgument[]): boolean => files.length <= 1 && !files[0]?.name,
};

export const shareOf = (
  { share }: DataArgument,
  mix: string | undefined,
): { weight?: number; epochs?: number } => {
  if (share === null) return {};
  return mix?.startsWith('interleave') ? { weight: share } : { epochs: share };
};
