/** Which checkpoints of a job are kept, and how the others are removed. Loads no TensorFlow. */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  type CheckpointCandidate,
  readManifest,
  reasonOf,
  stepOfFolder,
  verifyCheckpoint,
} from './manifest.ts';
import { readWithRetry } from './read-checkpoint.ts';

/** Number of intact checkpoints kept per job: more than one, because one may be damaged later. */
const KEPT = 2;

const EPOCH = /^\d{8}$/;
/** Folder of a run's checkpoints inside its job's folder. Later runs have higher numbers. */
export const epochFolder = (epoch: number): string => String(epoch).padStart(8, '0');
/** Folder of a lease's checkpoints: two leases of one epoch, one of which was lost in a failover, have different tokens. */
export const leaseFolder = (epoch: number, token: string | null): string =>
  path.join(epochFolder(epoch), token ?? '');

export interface RetainedCheckpoints {
  /** The newest checkpoints that verify. */
  kept: CheckpointCandidate[];
  /** Damaged checkpoints newer than the oldest kept one. */
  damaged: (CheckpointCandidate & { reason: string })[];
  /** Checkpoints that may be removed once the kept ones are verified. */
  older: CheckpointCandidate[];
}

/**
 * Verifies checkpoints, newest first, by reading every byte, until `KEPT` are intact. Throws when the storage fails: then the state
 * of the checkpoints is unknown, and none may be removed.
 */
export async function chooseRetained(
  candidates: readonly CheckpointCandidate[],
): Promise<RetainedCheckpoints> {
  const retained: RetainedCheckpoints = { kept: [], damaged: [], older: [] };
  for (const candidate of candidates) {
    if (retained.kept.length === KEPT) {
      retained.older.push(candidate);
      continue;
    }
    try {
      await readWithRetry(() => verifyCheckpoint(candidate));
      retained.kept.push(candidate);
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === null) throw error;
      retained.damaged.push({ ...candidate, reason });
    }
  }
  return retained;
}

/**
 * Removes everything from a job's folder that is neither kept nor being written: in lower epochs all other entries, including
 * half-written ones; in the folder of this lease finished checkpoints up to `step`, the last recorded one. Higher epochs belong to other
 * runs. So do other tokens of this epoch, which have no order: the next epoch removes them.
 */
export async function removeOtherCheckpoints(
  jobFolder: string,
  lease: { epoch: number; token: string | null },
  step: number,
  kept: readonly CheckpointCandidate[],
): Promise<void> {
  const keep = kept.map(({ dir }) => path.resolve(dir));
  for (const name of await readdir(jobFolder)) {
    // Entries with other names are of a version without epochs.
    if (!EPOCH.test(name) || Number(name) < lease.epoch) await removeExcept(path.join(jobFolder, name), keep);
  }
  const own = path.join(jobFolder, leaseFolder(lease.epoch, lease.token));
  for (const name of await entriesOf(own)) {
    if ((stepOfFolder(name) ?? Number.POSITIVE_INFINITY) <= step)
      await removeExcept(path.join(own, name), keep);
  }
}

/** Removes an entry; if it contains a folder to keep, removes everything else in it. */
async function removeExcept(entry: string, keep: readonly string[]): Promise<void> {
  const at = path.resolve(entry);
  if (keep.includes(at)) return;
  if (!keep.some((dir) => dir.startsWith(at + path.sep)))
    return await rm(entry, { recursive: true, force: true });
  for (const name of await readdir(entry)) await removeExcept(path.join(entry, name), keep);
}

/** Finished checkpoints of all epochs in a job's folder, newest first; empty if the folder does not exist. */
async function findCheckpoints(jobFolder: string): Promise<(CheckpointCandidate & { epoch: number })[]> {
  const found: (CheckpointCandidate & { epoch: number })[] = [];
  const add = (folder: string, name: string, epoch: number) => {
    const step = stepOfFolder(name);
    if (step !== null) found.push({ dir: path.join(folder, name), step, digest: null, epoch });
  };
  for (const name of await entriesOf(jobFolder)) {
    // Versions without epochs wrote directly into the job's folder.
    if (!EPOCH.test(name)) add(jobFolder, name, 0);
    else {
      const folder = path.join(jobFolder, name);
      for (const entry of await readdir(folder)) add(folder, entry, Number(name));
    }
  }
  return found.sort((a, b) => b.step - a.step || b.epoch - a.epoch);
}

/**
 * Checkpoints of a run that has no records elsewhere: the candidates found in the job's folder, and a new folder for this run, numbered
 * above those of earlier runs.
 */
export async function openLocalCheckpoints(
  jobFolder: string,
): Promise<{ dir: string; candidates: CheckpointCandidate[] }> {
  const epochs = (await entriesOf(jobFolder)).filter((name) => EPOCH.test(name)).map(Number);
  const dir = path.join(jobFolder, epochFolder(Math.max(0, ...epochs) + 1));
  return { dir, candidates: await findCheckpoints(jobFolder) };
}

/** After a run has written `newest`: keeps the two newest of its checkpoints that verify. Leaves those of other runs alone. */
export async function pruneLocalCheckpoints(jobFolder: string, newest: string): Promise<void> {
  const found = await findCheckpoints(jobFolder);
  const own = found.find(({ dir }) => dir === newest);
  if (!own) return;
  const { identity } = await readManifest(own);
  const ownCheckpoints: CheckpointCandidate[] = [];
  for (const candidate of found) {
    const manifest = await readManifest(candidate).catch(() => null);
    if (manifest?.identity === identity) ownCheckpoints.push(candidate);
  }
  const useful = ownCheckpoints.filter(({ step }) => step <= own.step);
  const { kept } = await chooseRetained(useful);
  for (const candidate of ownCheckpoints)
    if (!kept.includes(candidate)) await rm(candidate.dir, { recursive: true, force: true });
}

async function entriesOf(folder: string): Promise<string[]> {
  return await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}
