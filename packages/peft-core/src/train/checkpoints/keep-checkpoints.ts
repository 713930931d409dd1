/** Which of a job's checkpoints are kept, and how the others go. Loads no TensorFlow. */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { readPatiently } from './durable-files.ts';
import {
  type CheckpointCandidate,
  readManifest,
  reasonOf,
  stepOfFolder,
  verifyCheckpoint,
} from './manifest.ts';

/** Whole checkpoints that are kept of a job: one may be damaged later. */
const KEPT = 2;

const EPOCH = /^\d{8}$/;
/** The folder of a run's checkpoints in its job's folder. Later runs have higher numbers. */
export const epochFolder = (epoch: number): string => String(epoch).padStart(8, '0');
/** The same of a lease: two leases of one epoch, one of which a failover lost, have different tokens. */
export const leaseFolder = (epoch: number, token: string | null): string =>
  path.join(epochFolder(epoch), token ?? '');

export interface Keepers {
  /** The newest that verify. */
  kept: CheckpointCandidate[];
  /** Newer than the oldest of those, and of no use. */
  damaged: (CheckpointCandidate & { reason: string })[];
  /** What need not stay once those are known to be good. */
  older: CheckpointCandidate[];
}

/**
 * Verifies checkpoints, newest first, until `KEPT` are known to be good, by reading every byte of them. Throws when the
 * storage fails: then nothing is known, and nothing may go.
 */
export async function chooseKeepers(candidates: readonly CheckpointCandidate[]): Promise<Keepers> {
  const keepers: Keepers = { kept: [], damaged: [], older: [] };
  for (const candidate of candidates) {
    if (keepers.kept.length === KEPT) {
      keepers.older.push(candidate);
      continue;
    }
    try {
      await readPatiently(() => verifyCheckpoint(candidate));
      keepers.kept.push(candidate);
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === null) throw error;
      keepers.damaged.push({ ...candidate, reason });
    }
  }
  return keepers;
}

/**
 * Removes from a job's folder what is neither kept nor in the making: in lower epochs everything else, half-written ones
 * included; in the folder of the own lease finished ones up to `step`, which was recorded last. Higher epochs belong to others,
 * and so do other tokens of this one, which nobody can order: the next epoch removes them.
 */
export async function removeOtherCheckpoints(
  jobFolder: string,
  lease: { epoch: number; token: string | null },
  step: number,
  kept: readonly CheckpointCandidate[],
): Promise<void> {
  const keep = kept.map(({ dir }) => path.resolve(dir));
  for (const name of await readdir(jobFolder)) {
    // Others are of a version before epochs.
    if (!EPOCH.test(name) || Number(name) < lease.epoch) await removeExcept(path.join(jobFolder, name), keep);
  }
  const own = path.join(jobFolder, leaseFolder(lease.epoch, lease.token));
  for (const name of await entriesOf(own)) {
    if ((stepOfFolder(name) ?? Number.POSITIVE_INFINITY) <= step)
      await removeExcept(path.join(own, name), keep);
  }
}

/** Removes an entry, or, where a folder to keep lies in it, everything else there. */
async function removeExcept(entry: string, keep: readonly string[]): Promise<void> {
  const at = path.resolve(entry);
  if (keep.includes(at)) return;
  if (!keep.some((dir) => dir.startsWith(at + path.sep)))
    return await rm(entry, { recursive: true, force: true });
  for (const name of await readdir(entry)) await removeExcept(path.join(entry, name), keep);
}

/** Finished checkpoints of all epochs in a job's folder, newest first; none when it is not there. */
async function findCheckpoints(jobFolder: string): Promise<(CheckpointCandidate & { epoch: number })[]> {
  const found: (CheckpointCandidate & { epoch: number })[] = [];
  const add = (folder: string, name: string, epoch: number) => {
    const step = stepOfFolder(name);
    if (step !== null) found.push({ dir: path.join(folder, name), step, digest: null, epoch });
  };
  for (const name of await entriesOf(jobFolder)) {
    // Versions before epochs wrote into the job's folder itself.
    if (!EPOCH.test(name)) add(jobFolder, name, 0);
    else {
      const folder = path.join(jobFolder, name);
      for (const entry of await readdir(folder)) add(folder, entry, Number(name));
    }
  }
  return found.sort((a, b) => b.step - a.step || b.epoch - a.epoch);
}

/**
 * For a run of which nobody keeps records: what it may go on from, all that is found in its folder, and a folder of its own
 * there, higher than those of the runs before it.
 */
export async function openLocalCheckpoints(
  jobFolder: string,
): Promise<{ dir: string; candidates: CheckpointCandidate[] }> {
  const epochs = (await entriesOf(jobFolder)).filter((name) => EPOCH.test(name)).map(Number);
  const dir = path.join(jobFolder, epochFolder(Math.max(0, ...epochs) + 1));
  return { dir, candidates: await findCheckpoints(jobFolder) };
}

/** Once a run has written `newest`: keeps the two newest of its checkpoints that verify. Another run's are left alone. */
export async function pruneLocalCheckpoints(jobFolder: string, newest: string): Promise<void> {
  const found = await findCheckpoints(jobFolder);
  const own = found.find(({ dir }) => dir === newest);
  if (!own) return;
  const { identity } = await readManifest(own);
  const ofThisRun: CheckpointCandidate[] = [];
  for (const candidate of found) {
    const manifest = await readManifest(candidate).catch(() => null);
    if (manifest?.identity === identity) ofThisRun.push(candidate);
  }
  const useful = ofThisRun.filter(({ step }) => step <= own.step);
  const { kept } = await chooseKeepers(useful);
  for (const candidate of ofThisRun)
    if (!kept.includes(candidate)) await rm(candidate.dir, { recursive: true, force: true });
}

async function entriesOf(folder: string): Promise<string[]> {
  return await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}
