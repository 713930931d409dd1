import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../../errors.ts';
import { sha256 } from '../../sha256.ts';
import { syncPath, systemCode, writeNewFile } from './durable-files.ts';
import {
  CODE_VERSION,
  folderOfStep,
  MANIFEST_FILE,
  MANIFEST_VERSION,
  type Manifest,
  manifestText,
} from './manifest.ts';

export interface WrittenCheckpoint {
  dir: string;
  /** SHA-256 of its manifest, which has those of all its files. */
  digest: string;
  /** Of all its files. */
  bytes: number;
  /** How long writing took. */
  seconds: number;
}

/**
 * Writes `<folder>/step-<n>` so that it is there whole or not at all: under a random name, every file synced, the manifest
 * last, then the folder; renamed; `folder` synced. `folder` is this run's own and exists: nobody else writes there, and a
 * run that lost it, because it lost its job, does not make it again. `fill` writes the files, each durably, into the folder that it is
 * given, and tells what they are. Removes nothing. Throws `checkpoint_unwritable` for a fault of the storage.
 */
export async function writeWhole(
  folder: string,
  { identity, step, trainedTokens }: Pick<Manifest, 'identity' | 'step' | 'trainedTokens'>,
  fill: (temporary: string) => Promise<Manifest['files']>,
): Promise<WrittenCheckpoint> {
  const began = performance.now();
  const dir = path.join(folder, folderOfStep(step));
  const temporary = `${dir}.tmp-${randomBytes(8).toString('hex')}`;
  try {
    await mkdir(temporary);
    const files = await fill(temporary);
    const manifest: Manifest = {
      version: MANIFEST_VERSION,
      codeVersion: CODE_VERSION,
      identity,
      step,
      trainedTokens,
      files,
    };
    const text = manifestText(manifest);
    await writeNewFile(path.join(temporary, MANIFEST_FILE), text);
    await syncPath(temporary);
    await rename(temporary, dir);
    await syncPath(folder);
    const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, text.length);
    return { dir, digest: sha256(text), bytes, seconds: (performance.now() - began) / 1000 };
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    const code = systemCode(error);
    if (code === null) throw error;
    throw new GraftError(
      'checkpoint_unwritable',
      `the checkpoint of step ${step} cannot be written (${code})`,
      {
        fault: 'environment',
        cause: error,
      },
    );
  }
}
