import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../../errors.ts';
import { writeSafetensors } from '../../files.ts';
import type { AdapterLayout } from '../../peft-model/adapter-layout.ts';
import { sha256 } from '../../sha256.ts';
import { syncPath, systemCode, writeNewFile } from './durable-files.ts';
import {
  CODE_VERSION,
  folderOfStep,
  MANIFEST_FILE,
  MANIFEST_VERSION,
  type Manifest,
  METRICS_FILE,
  manifestText,
  STATE_FILE,
} from './manifest.ts';
import { type MetricSeries, tensorsOf } from './metric-series.ts';

/** Name of the flat vector of the best evaluation's adapter. A run that will publish it stores it with its state. */
export const BEST_ADAPTER = 'best_adapter';

/** Everything that a resumed run needs besides its inputs. */
export interface CheckpointState {
  /** Optimizer steps done. The next examples, the learning rate and all random numbers follow from this and the seed. */
  step: number;
  trainedTokens: number;
  /** Flat vectors of the adapter and its Adam moments, by name. */
  state: ReadonlyMap<string, Float32Array>;
  series: MetricSeries;
  /** The references of preference training: see `train/reference.ts`. Null or absent: there are none. */
  references?: Float32Array | null;
}

export const REFERENCES = 'references';

/** Writes `<folder>/step-<n>` as `writeWhole` does. Throws `checkpoint_unwritable`. */
export async function writeCheckpoint(
  folder: string,
  { step, trainedTokens, state, series, references = null }: CheckpointState,
  layout: Pick<AdapterLayout, 'views'>,
  identity: string,
): Promise<WrittenCheckpoint> {
  const tensors = [...state].flatMap(([part, flat]) =>
    [...layout.views(flat)].map(([name, tensor]) => ({ name: `${part}.${name}`, ...tensor })),
  );
  if (references) tensors.push({ name: REFERENCES, shape: [references.length], data: references });
  return await writeWhole(folder, { identity, step, trainedTokens }, async (temporary) => {
    const files: Manifest['files'] = {};
    for (const [name, content] of [
      [STATE_FILE, tensors],
      [METRICS_FILE, tensorsOf(series)],
    ] as const) {
      const { bytes, sha256: digest } = await writeSafetensors(path.join(temporary, name), content);
      files[name] = { bytes, sha256: digest };
    }
    return files;
  });
}

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
      { fault: 'environment', cause: error },
    );
  }
}
