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
  /** SHA-256 of the manifest, which contains the digests of all files. */
  digest: string;
  bytes: number;
  seconds: number;
}

/**
 * Writes `<folder>/step-<n>` atomically: under a random name, with every file synced, the manifest last, then the folder; then renames
 * it and syncs `folder`. `folder` belongs to this run alone and must exist: a run that lost its job, and with it the folder, does not
 * create it again. `fill` writes the files durably into the given folder and returns their sizes and digests. Removes no other
 * checkpoint. Throws `checkpoint_unwritable` for a storage fault.
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
