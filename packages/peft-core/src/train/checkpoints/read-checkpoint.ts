import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '../../errors.ts';
import { readSafetensors } from '../../files.ts';
import type { LayoutEntry } from '../../peft-model/adapter-layout.ts';
import { systemCode } from './durable-files.ts';
import {
  type CheckpointCandidate,
  InvalidCheckpoint,
  type Manifest,
  METRICS_FILE,
  reasonOf,
  STATE_FILE,
  verifyCheckpoint,
} from './manifest.ts';
import { readSeries } from './metric-series.ts';
import { BEST_ADAPTER, type CheckpointState, REFERENCES } from './write-checkpoint.ts';

/** Where each parameter lies in a flat vector of `size` values. */
export interface CheckpointLayout {
  size: number;
  entries: readonly Pick<LayoutEntry, 'name' | 'offset' | 'length'>[];
}

export interface SkippedCheckpoint {
  step: number;
  /** Follows "not continued: ". */
  reason: string;
}

/**
 * The first candidate that is intact and belongs to `identity`; null if there is none. `parts` are the names of the flat vectors.
 * Throws as `loadNewest` does.
 */
export async function loadCheckpoint(
  candidates: readonly CheckpointCandidate[],
  layout: CheckpointLayout,
  parts: readonly string[],
  identity: string,
  waits?: readonly number[],
): Promise<{ checkpoint: CheckpointState | null; passedOver: SkippedCheckpoint[] }> {
  return await loadNewest(
    candidates,
    (candidate) => readCheckpoint(candidate, layout, parts, identity),
    waits,
  );
}

/**
 * The result of `read` for the first usable candidate; null if there is none. A read that the storage fails is retried for some
 * seconds; then it throws `checkpoint_unreadable`, a fault of the environment: a checkpoint that cannot be read here is no
 * reason to fall back to an older one.
 */
export async function loadNewest<T>(
  candidates: readonly CheckpointCandidate[],
  read: (candidate: CheckpointCandidate) => Promise<T>,
  waits?: readonly number[],
): Promise<{ checkpoint: T | null; passedOver: SkippedCheckpoint[] }> {
  const passedOver: SkippedCheckpoint[] = [];
  for (const candidate of candidates) {
    const { step } = candidate;
    try {
      return { checkpoint: await readWithRetry(() => read(candidate), waits), passedOver };
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== null) {
        passedOver.push({ step, reason });
        continue;
      }
      const code = systemCode(error);
      if (code === null) throw error;
      throw new GraftError(
        'checkpoint_unreadable',
        `the checkpoint of step ${step} is there but cannot be read (${code}); the storage of this worker is at fault`,
        { fault: 'environment', cause: error },
      );
    }
  }
  return { checkpoint: null, passedOver };
}

// These codes describe the content of the disk. Any other code means that the disk, the network or its permissions are at fault.
const answers = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENAMETOOLONG']);

/** Checks whether storage failed, so that a retry later or on another machine may succeed. */
function isStorageFault(error: unknown): boolean {
  const code = systemCode(error);
  return code !== null && !answers.has(code);
}

/** Milliseconds before each retry of a failed read: about five seconds in total. */
const patience = [100, 300, 1000, 3500];
/** Number of retries for a missing file: a file just written by another machine may become visible with a delay. */
const patienceForMissing = 2;

/** Runs `read`, retries after storage faults and, briefly, for a missing file, and returns its result. Throws the last fault. */
export async function readWithRetry<T>(
  read: () => Promise<T>,
  waits: readonly number[] = patience,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await read();
    } catch (error) {
      const missing = systemCode(error) === 'ENOENT';
      const tries = missing ? Math.min(patienceForMissing, waits.length) : waits.length;
      if (failures >= tries || !(missing || isStorageFault(error))) throw error;
      await sleep(waits[failures]);
    }
  }
}

/** Returns the manifest of an intact checkpoint. Throws `InvalidCheckpoint` for a checkpoint of another run. */
export async function verifyOwn(candidate: CheckpointCandidate, identity: string): Promise<Manifest> {
  const manifest = await verifyCheckpoint(candidate);
  if (manifest.identity !== identity)
    throw new InvalidCheckpoint(
      'it is of other data or options, another base model, or was computed otherwise',
    );
  return manifest;
}

async function readCheckpoint(
  candidate: CheckpointCandidate,
  layout: CheckpointLayout,
  parts: readonly string[],
  identity: string,
): Promise<CheckpointState> {
  const { step, trainedTokens } = await verifyOwn(candidate, identity);
  const metrics = await readSafetensors(path.join(candidate.dir, METRICS_FILE));
  const series = await readSeries(metrics).finally(() => metrics.close());
  const file = await readSafetensors(path.join(candidate.dir, STATE_FILE));
  try {
    const state = new Map<string, Float32Array>();
    const first = layout.entries[0]?.name;
    const hasBest = first !== undefined && file.has(`${BEST_ADAPTER}.${first}`);
    for (const part of hasBest ? [...parts, BEST_ADAPTER] : parts) {
      const flat = new Float32Array(layout.size);
      for (const { name, offset, length } of layout.entries)
        await file.readFloat32(`${part}.${name}`, flat.subarray(offset, offset + length));
      state.set(part, flat);
    }
    if (!file.has(REFERENCES)) return { step, trainedTokens, state, series };
    const references = new Float32Array(file.info(REFERENCES).shape[0]!);
    await file.readFloat32(REFERENCES, references);
    return { step, trainedTokens, state, series, references };
  } finally {
    await file.close();
  }
}
