/**
 * A checkpoint of a sweep: a complete checkpoint, in its own folder, of each trial that may still win, and the measurements of all
 * trials. One record covers all of it, so that it exists completely or not at all.
 *
 *     step-<n>/             n: steps of all trials
 *       trial-<i>/          as written by `writeCheckpoint`: state, metrics, manifest
 *       metrics.safetensors measurements of every trial
 *       sweep.json          which trials have diverged, and how trials are compared
 *       manifest.json       covers every byte of the other files
 */
import { copyFile, mkdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Comparison } from '../../config/index.ts';
import { readSafetensors, writeSafetensors } from '../../files.ts';
import { sha256 } from '../../sha256.ts';
import { makeFolder, syncPath, writeNewFile } from '../checkpoints/durable-files.ts';
import {
  type CheckpointCandidate,
  folderOfStep,
  folderOfTrial,
  MANIFEST_FILE,
  type Manifest,
  METRICS_FILE,
  readManifest,
} from '../checkpoints/manifest.ts';
import { type MetricSeries, readSeries, tensorsOf } from '../checkpoints/metric-series.ts';
import { verifyOwn } from '../checkpoints/read-checkpoint.ts';
import { type WrittenCheckpoint, writeWhole } from '../checkpoints/write-checkpoint.ts';

const SWEEP_FILE = 'sweep.json';

export interface StoredTrial {
  series: MetricSeries;
  diverged: boolean;
  /** Checkpoint to continue from; null if the trial has not started or is out. */
  checkpoint: CheckpointCandidate | null;
}

/** Writes `<folder>/step-<n>` as `writeWhole` does, from the checkpoints that the trials have written. */
export async function writeSweepCheckpoint(
  folder: string,
  of: Pick<Manifest, 'identity' | 'step' | 'trainedTokens'>,
  trials: readonly StoredTrial[],
  comparison: Comparison,
): Promise<WrittenCheckpoint> {
  return await writeWhole(folder, of, async (temporary) => {
    const files: Manifest['files'] = {};
    for (const [trial, { checkpoint }] of trials.entries()) {
      if (!checkpoint) continue;
      const name = folderOfTrial(trial);
      for (const [file, content] of Object.entries(
        await copyCheckpoint(checkpoint, path.join(temporary, name)),
      ))
        files[`${name}/${file}`] = content;
    }
    const series = trials.flatMap((kept, trial) => tensorsOf(kept.series, `${folderOfTrial(trial)}.`));
    const { bytes, sha256: digest } = await writeSafetensors(path.join(temporary, METRICS_FILE), series);
    files[METRICS_FILE] = { bytes, sha256: digest };
    const diverged = trials.map((trial) => trial.diverged);
    const text = `${JSON.stringify({ diverged, comparison })}\n`;
    await writeNewFile(path.join(temporary, SWEEP_FILE), text);
    files[SWEEP_FILE] = { bytes: Buffer.byteLength(text), sha256: sha256(text) };
    return files;
  });
}

export interface SweepState {
  /** Steps of all trials. */
  step: number;
  trials: StoredTrial[];
  comparison: Comparison;
}

/**
 * Reads the trials of a checkpoint. Copies those that may still win to folders under `work`, where they remain when the checkpoint is
 * removed. Throws `InvalidCheckpoint`, and passes on storage faults.
 */
export async function readSweepCheckpoint(
  candidate: CheckpointCandidate,
  identity: string,
  work: string,
): Promise<SweepState> {
  const { files, step } = await verifyOwn(candidate, identity);
  const text = await readFile(path.join(candidate.dir, SWEEP_FILE), 'utf8');
  // Earlier versions did not write it, and compared early.
  const { diverged, comparison = 'early' } = JSON.parse(text) as {
    diverged: boolean[];
    comparison?: Comparison;
  };
  const metrics = await readSafetensors(path.join(candidate.dir, METRICS_FILE));
  const trials: StoredTrial[] = [];
  try {
    for (const [trial, isOut] of diverged.entries()) {
      const series = await readSeries(metrics, `${folderOfTrial(trial)}.`);
      trials.push({ series, diverged: isOut, checkpoint: null });
    }
  } finally {
    await metrics.close();
  }
  for (const [trial, kept] of trials.entries()) {
    const name = folderOfTrial(trial);
    const manifest = files[`${name}/${MANIFEST_FILE}`];
    if (!manifest) continue;
    const text = await readFile(path.join(candidate.dir, name, MANIFEST_FILE), 'utf8');
    const own = { dir: path.join(candidate.dir, name), step: stepIn(text), digest: manifest.sha256 };
    const dir = path.join(work, name, folderOfStep(own.step));
    await rm(dir, { recursive: true, force: true });
    await makeFolder(path.dirname(dir));
    await copyCheckpoint(own, dir);
    kept.checkpoint = { ...own, dir };
  }
  return { step, trials, comparison };
}

const stepIn = (manifest: string): number => (JSON.parse(manifest) as Manifest).step;

/**
 * Copies a trial's checkpoint durably into a new folder; returns its files, including the manifest. Copies instead of links, since
 * damage to a linked file would be damage to all checkpoints with it.
 */
async function copyCheckpoint(checkpoint: CheckpointCandidate, folder: string): Promise<Manifest['files']> {
  const { files } = await readManifest(checkpoint);
  const manifest = path.join(checkpoint.dir, MANIFEST_FILE);
  const own = { bytes: (await stat(manifest)).size, sha256: sha256(await readFile(manifest, 'utf8')) };
  const all = { ...files, [MANIFEST_FILE]: own };
  await mkdir(folder);
  for (const name of Object.keys(all)) {
    await copyFile(path.join(checkpoint.dir, name), path.join(folder, name));
    await syncPath(path.join(folder, name));
  }
  await syncPath(folder);
  return all;
}
