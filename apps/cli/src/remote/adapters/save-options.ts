import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Command } from 'commander';
import { bytes } from '../../draw/quantities.ts';
import { CommandError } from '../../errors.ts';
import { checkNamed, isFree } from '../../options/arguments.ts';

export interface SaveOptions {
  output: string;
  tar?: boolean;
  overwrite?: boolean;
}

export const saveOptions = <C extends Command>(command: C): C =>
  command
    .requiredOption('--output <path>', 'folder to create, or with --tar the archive to write')
    .option('--tar', 'save the tar archive without unpacking it')
    .option('--overwrite', 'replace the output if it exists');

const savedFile = /(\.(json|safetensors|gguf|jinja|md)|^Modelfile|^LICENSE)$/;

/**
 * Throws CommandError if the output exists and may not be replaced: `overwrite` replaces an archive, or a folder that holds only files
 * with names that adapters and exports have, because all of it is deleted.
 */
export function checkOutput({ output, overwrite, tar }: SaveOptions): void {
  checkNamed(output);
  if (isFree(output) && !(tar && existsSync(output))) return;
  if (!overwrite) throw alreadyThere(output);
  if (statSync(output).isDirectory() === (tar === true))
    throw new CommandError(`${output} is a ${tar ? 'folder' : 'file'}: choose another output.`);
  const other = tar ? null : otherFile(output);
  if (other === null) return;
  throw new CommandError(
    `${output} holds ${relative(output, other)}, which is no file of an adapter or export, and --overwrite replaces the whole folder: choose another output.`,
  );
}

export const alreadyThere = (output: string): CommandError =>
  new CommandError(`${output} exists already: choose another output, or add --overwrite.`);

/** The first file below a folder that downloads do not have, or an empty folder; null if there is none. */
function otherFile(folder: string): string | null {
  const entries = readdirSync(folder, { withFileTypes: true });
  if (entries.length === 0) return folder;
  for (const entry of entries) {
    const path = join(folder, entry.name);
    const other = entry.isDirectory() ? otherFile(path) : savedFile.test(entry.name) ? null : path;
    if (other !== null) return other;
  }
  return null;
}

interface Saved {
  path: string;
  files: { path: string }[];
  bytes: number;
}

export const savedText = (what: string, { path, files, bytes: size }: Saved): string =>
  `Saved ${what}\nin ${path}: ${files.map((file) => file.path).join(', ')}; ${bytes(size)}, digests checked.`;
