import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { hashFile, sha256 } from '../../sha256.ts';
import { systemCode } from './durable-files.ts';

/** Changes when a new version of the training code would not continue an old checkpoint bit for bit. */
export const CODE_VERSION = 'train-4';
/** Changes with the file format. */
export const MANIFEST_VERSION = 3;

export const MANIFEST_FILE = 'manifest.json';
/** Adapter and both Adam moments, by part and parameter. */
export const STATE_FILE = 'state.safetensors';
/** The losses and other measurements of every step so far: see metric-series.ts. */
export const METRICS_FILE = 'metrics.safetensors';

/** Manifest of a checkpoint's folder. The SHA-256 of the manifest is the checkpoint's digest: it covers every byte of the other files. */
export interface Manifest {
  version: typeof MANIFEST_VERSION;
  codeVersion: string;
  /** Digest of the run's inputs and of everything that its numbers depend on: precision, threads, device. */
  identity: string;
  step: number;
  trainedTokens: number;
  files: Record<string, { bytes: number; sha256: string }>;
}

/** A checkpoint that a run may continue from. */
export interface CheckpointCandidate {
  dir: string;
  step: number;
  /** Recorded digest of its manifest; null without a record. */
  digest: string | null;
}

/** The reason why a checkpoint cannot be continued; the message follows "not continued: ". */
export class InvalidCheckpoint extends Error {}

export const DAMAGED = 'it is damaged';
const GONE = 'its files are gone';
const OTHER_VERSION = 'another version of Graft wrote it';

export const folderOfStep = (step: number): string => `step-${String(step).padStart(8, '0')}`;
/** Folder of a sweep's trial, by its index. */
export const folderOfTrial = (trial: number): string => `trial-${String(trial + 1).padStart(2, '0')}`;
/** The step of a checkpoint folder, by its name; null for any other name, such as that of an unfinished checkpoint. */
export const stepOfFolder = (name: string): number | null =>
  /^step-\d{8}$/.test(name) ? Number(name.slice('step-'.length)) : null;

/** The manifest as file content: JSON that ends with the SHA-256 of the rest, since not every checkpoint is recorded elsewhere. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify({ ...manifest, sha256: sha256(JSON.stringify(manifest)) }, null, 2)}\n`;
}

/** Reads a manifest. Throws `InvalidCheckpoint` if it differs from the record or is of another version; passes on storage faults. */
export async function readManifest({ dir, step, digest }: CheckpointCandidate): Promise<Manifest> {
  const text = await readFile(path.join(dir, MANIFEST_FILE), 'utf8');
  if (digest !== null && sha256(text) !== digest) throw new InvalidCheckpoint(DAMAGED);
  const { sha256: own, ...manifest } = parse(text);
  if (typeof manifest.version === 'number' && manifest.version !== MANIFEST_VERSION)
    throw new InvalidCheckpoint(OTHER_VERSION);
  if (own !== sha256(JSON.stringify(manifest)) || manifest.step !== step)
    throw new InvalidCheckpoint(DAMAGED);
  if (manifest.codeVersion !== CODE_VERSION) throw new InvalidCheckpoint(OTHER_VERSION);
  return manifest as Manifest;
}

/** Returns the manifest after checking every byte of the checkpoint's files. Throws as `readManifest` does. */
export async function verifyCheckpoint(candidate: CheckpointCandidate): Promise<Manifest> {
  const manifest = await readManifest(candidate);
  for (const [name, { bytes, sha256: digest }] of Object.entries(manifest.files)) {
    if (!isCheckpointFile(name)) throw new InvalidCheckpoint(DAMAGED);
    const file = path.join(candidate.dir, name);
    if ((await stat(file)).size !== bytes || (await hashFile(file)) !== digest)
      throw new InvalidCheckpoint(DAMAGED);
  }
  return manifest;
}

/** Checks whether a checkpoint's folder, of a run or a sweep, may contain a file with this path (forward slashes). */
export function isCheckpointFile(name: string): boolean {
  return /^(?:trial-\d{2,4}\/)?(?:manifest\.json|state\.safetensors|metrics\.safetensors)$|^sweep\.json$/.test(
    name,
  );
}

/** Checks whether a checkpoint's folder may contain a folder with this name: that of a trial. */
export const isCheckpointFolder = (name: string): boolean => /^trial-\d{2,4}$/.test(name);

/**
 * Digest and length of a checkpoint with these files: its manifest must list exactly these. Throws as `readManifest` does.
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
    const entry = named.get(name);
    return name === MANIFEST_FILE || (entry?.bytes === bytes && entry.sha256 === digest);
  });
  if (!own || !isWhole || named.size !== files.length - 1) throw new InvalidCheckpoint(DAMAGED);
  return { digest: own.sha256, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
}

/** Describes the damage to a checkpoint; null for a fault that does not concern the checkpoint itself. */
export function reasonOf(error: unknown): string | null {
  if (error instanceof InvalidCheckpoint) return error.message;
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
