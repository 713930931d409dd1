import type { Command } from 'commander';
import { bytes } from '../../draw/quantities.ts';
import { CommandError } from '../../errors.ts';
import { isFree } from '../../options/arguments.ts';

export interface SaveOptions {
  output: string;
  tar?: boolean;
  overwrite?: boolean;
}

/** Adds the options of verbs that save an adapter. */
export const saveOptions = <C extends Command>(command: C): C =>
  command
    .requiredOption('--output <path>', 'folder to create, or with --tar the archive to write')
    .option('--tar', 'save the tar archive without unpacking it')
    .option('--overwrite', 'replace the output if it exists');

/** Throws CommandError if the output exists and may not be replaced. */
export function checkOutput({ output, overwrite }: SaveOptions): void {
  if (!overwrite && !isFree(output))
    throw new CommandError(`${output} exists already: choose another output, or add --overwrite.`);
}

interface Saved {
  path: string;
  files: { path: string }[];
  bytes: number;
}

export const savedText = (what: string, { path, files, bytes: size }: Saved): string =>
  `Saved ${what}\nin ${path}: ${files.map((file) => file.path).join(', ')}; ${bytes(size)}, digests checked.`;
