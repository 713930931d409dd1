/**
 * A checkpoint of a sweep: those of its trials that may still win, each a whole checkpoint of its own in a folder, and what was
 * measured of all. So one record makes all of it exist, or none.
 *
 *     step-<n>/             n: steps of all trials
 *       trial-<i>/          as `writeCheckpoint` wrote it: state, metrics, manifest
 *       metrics.safetensors the measures of every trial
 *       sweep.json          which have diverged, and how trials are compared
 *       manifest.json       covers every byte of the others
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
import { type WrittenCheckpoint, writeWhole } from '../checkpoints/write-whole.ts';

const SWEEP_FILE = 'sweep.json';

/** A trial as a checkpoint has it. */
export interface KeptTrial {
  series: MetricSeries;
  diverged: boolean;
  /** What it goes on from; null: it has not begun, or is out. */
  checkpoint: CheckpointCandidate | null;
}

/** Writes `<folder>/step-<n>` as `writeWhole` does, of what the trials have written before. */
export async function writeSweepCheckpoint(
  folder: string,
  of: Pick<Manifest, 'identity' | 'step' | 'trainedTokens'>,
  trials: readonly KeptTrial[],
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
  /** Of all trials. */
  step: number;
  trials: KeptTrial[];
  comparison: Comparison;
}

/**
 * The trials in a checkpoint, those that may still win in folders under `work`, where they stay when the checkpoint goes. Throws
 * `Unusable`, and faults of the storage as they are.
 */
export async function readSweepCheckpoint(
  candidate: CheckpointCandidate,
  identity: string,
  work: string,
): Promise<SweepState> {
  const { files, step } = await verifyOwn(candidate, identity);
  const text = await readFile(path.join(candidate.dir, SWEEP_FILE), 'utf8');
  // Versions before wrote none: it was early.
  const { diverged, comparison = 'early' } = JSON.parse(text) as {
    diverged: boolean[];
    comparison?: Comparison;
  };
  const metrics = await readSafetensors(path.join(candidate.dir, METRICS_FILE));
  const trials: KeptTrial[] = [];
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
 * The files of a trial's checkpoint in a new folder, durably; answers what they are, the manifest too. No links: damage to one would be
 * damage to all.
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
