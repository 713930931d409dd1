import type { Command } from 'commander';
import { bytes } from '../../draw/quantities.ts';

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

interface Saved {
  path: string;
  files: { path: string }[];
  bytes: number;
}

export const savedText = (what: string, { path, files, bytes: size }: Saved): string =>
  `Saved ${what}\nin ${path}: ${files.map((file) => file.path).join(', ')}; ${bytes(size)}, digests checked.`;
