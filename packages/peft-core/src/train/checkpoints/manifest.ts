import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { hashFile, sha256 } from '../../sha256.ts';
import { systemCode } from './durable-files.ts';

/** Changes when a new version of the training code would not continue an old checkpoint bit for bit. */
export const CODE_VERSION = 'train-4';
/** Changes with the form of the files. */
export const MANIFEST_VERSION = 3;

export const MANIFEST_FILE = 'manifest.json';
/** Adapter and both moments, by part and parameter. */
export const STATE_FILE = 'state.safetensors';
/** The losses and other measures of every step so far: see metric-series.ts. */
export const METRICS_FILE = 'metrics.safetensors';

/** What a checkpoint's folder says of itself. Its SHA-256 is the checkpoint's digest: it covers every byte of the others. */
export interface Manifest {
  version: typeof MANIFEST_VERSION;
  codeVersion: string;
  /** Digest of the run's inputs and of what its numbers depend on: precision, threads, device. */
  identity: string;
  step: number;
  trainedTokens: number;
  files: Record<string, { bytes: number; sha256: string }>;
}

/** A checkpoint as whoever keeps a record of it knows it. */
export interface CheckpointCandidate {
  dir: string;
  step: number;
  /** Of its manifest; null when there is no record of it. */
  digest: string | null;
}

/** Why a checkpoint cannot be gone on from; goes on after "not continued: ". */
export class Unusable extends Error {}

export const DAMAGED = 'it is damaged';
const GONE = 'its files are gone';
const OTHER_VERSION = 'another version of Graft wrote it';

export const folderOfStep = (step: number): string => `step-${String(step).padStart(8, '0')}`;
/** Of a sweep's trial, by its index. */
export const folderOfTrial = (trial: number): string => `trial-${String(trial + 1).padStart(2, '0')}`;
/** Of a folder's name; null for one that is not finished, or no checkpoint. */
export const stepOfFolder = (name: string): number | null =>
  /^step-\d{8}$/.test(name) ? Number(name.slice('step-'.length)) : null;

/** As a file: JSON that ends with the SHA-256 of the rest, since not every checkpoint is recorded elsewhere. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify({ ...manifest, sha256: sha256(JSON.stringify(manifest)) }, null, 2)}\n`;
}

/** Throws `Unusable` when it is not what was recorded, or of another version; and faults of the storage as they are. */
export async function readManifest({ dir, step, digest }: CheckpointCandidate): Promise<Manifest> {
  const text = await readFile(path.join(dir, MANIFEST_FILE), 'utf8');
  if (digest !== null && sha256(text) !== digest) throw new Unusable(DAMAGED);
  const { sha256: own, ...manifest } = parse(text);
  if (typeof manifest.version === 'number' && manifest.version !== MANIFEST_VERSION)
    throw new Unusable(OTHER_VERSION);
  if (own !== sha256(JSON.stringify(manifest)) || manifest.step !== step) throw new Unusable(DAMAGED);
  if (manifest.codeVersion !== CODE_VERSION) throw new Unusable(OTHER_VERSION);
  return manifest as Manifest;
}

/** The manifest of a checkpoint whose every byte is as it was written. Throws as `readManifest` does. */
export async function verifyCheckpoint(candidate: CheckpointCandidate): Promise<Manifest> {
  const manifest = await readManifest(candidate);
  for (const [name, { bytes, sha256: digest }] of Object.entries(manifest.files)) {
    if (!isCheckpointFile(name)) throw new Unusable(DAMAGED);
    const file = path.join(candidate.dir, name);
    if ((await stat(file)).size !== bytes || (await hashFile(file)) !== digest) throw new Unusable(DAMAGED);
  }
  return manifest;
}

/** Whether a checkpoint's folder may have a file of this path, with forward slashes: that of a run, or of a sweep. */
export function isCheckpointFile(name: string): boolean {
  return /^(?:trial-\d{2,4}\/)?(?:manifest\.json|state\.safetensors|metrics\.safetensors)$|^sweep\.json$/.test(
    name,
  );
}

/** Whether it may have a folder of this name: of a trial. */
export const isCheckpointFolder = (name: string): boolean => /^trial-\d{2,4}$/.test(name);

/**
 * Digest and length of a checkpoint whose files are these: its manifest must name them, and nothing else. Throws as `readManifest` does.
 */
export async function describeCheckpoint(
  dir: string,
  step: number,
  files: readonly { path: string; bytes: number; sha256: string }[],
): Promise<{ digest: string; bytes: number }> {
  const manifest = await readManifest({ dir, step, digest: null });
  const own = files.find((file) => file.path === MANIFEST_FILE);
  const named = new Map(Object.entries(manifest.files));
  const isWhole = files.every(({ path: name, bytes, sha256: digest }) => {
    const told = named.get(name);
    return name === MANIFEST_FILE || (told?.bytes === bytes && told.sha256 === digest);
  });
  if (!own || !isWhole || named.size !== files.length - 1) throw new Unusable(DAMAGED);
  return { digest: own.sha256, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
}

/** What is wrong with a checkpoint in plain words; null for a fault that says nothing of it. */
export function reasonOf(error: unknown): string | null {
  if (error instanceof Unusable) return error.message;
  const code = systemCode(error);
  if (code === 'ENOENT') return GONE;
  return code === 'EISDIR' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENAMETOOLONG'
    ? DAMAGED
    : null;
}

function parse(text: string): Partial<Manifest> & { sha256?: string } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
