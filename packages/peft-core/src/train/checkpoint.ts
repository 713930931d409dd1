import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readAllTensors, writeSafetensors } from '../files.ts';
import type { AdapterLayout } from '../peft-model/adapter-layout.ts';
import { hashFile } from '../sha256.ts';
import { STATE } from './train-program.ts';

/** Changes when a new version of the training code would not continue an old checkpoint bit for bit. */
export const CODE_VERSION = 'train-2';

/** Everything that a resumed run needs besides its inputs; `identity` is their digest. */
export interface CheckpointState {
  /** Optimizer steps done. The next examples, the learning rate and all random numbers follow from it and the seed. */
  step: number;
  trainedTokens: number;
  /** Flat vectors by the names of STATE. */
  state: ReadonlyMap<string, Float32Array>;
}

/** A checkpoint that a run cannot be continued from. */
export interface PassedOver {
  step: number;
  /** Goes on after "not continued: ". */
  reason: string;
}

interface Manifest {
  version: 2;
  codeVersion: string;
  /** Digest of the run's inputs. */
  identity: string;
  step: number;
  trainedTokens: number;
  files: Record<string, string>;
}

const STATE_FILE = 'state.safetensors';
const KEPT = 2;
const DAMAGED = 'it is damaged';

const nameOf = (step: number) => `step-${String(step).padStart(8, '0')}`;

/**
 * Writes `<root>/step-<n>` so that it is there whole or not at all: temp name, fsync, manifest last, rename, folder fsync.
 * Of this run's checkpoints it keeps two, this one and the one before; another run's are left alone. Returns the folder.
 */
export async function writeCheckpoint(
  root: string,
  checkpoint: CheckpointState,
  layout: AdapterLayout,
  identity: string,
): Promise<string> {
  const { step, trainedTokens } = checkpoint;
  await mkdir(root, { recursive: true });
  const target = path.join(root, nameOf(step));
  const temporary = `${target}.tmp-${process.pid}`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary);
  const tensors = [...checkpoint.state].flatMap(([part, flat]) =>
    [...layout.views(flat)].map(([name, tensor]) => ({ name: `${part}.${name}`, ...tensor })),
  );
  await writeSafetensors(path.join(temporary, STATE_FILE), tensors, { format: 'pt' });
  await sync(path.join(temporary, STATE_FILE));
  const manifest: Manifest = {
    version: 2,
    codeVersion: CODE_VERSION,
    identity,
    step,
    trainedTokens,
    files: { [STATE_FILE]: await hashFile(path.join(temporary, STATE_FILE)) },
  };
  await writeFile(path.join(temporary, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  await sync(path.join(temporary, 'manifest.json'));
  await sync(temporary);
  await rm(target, { recursive: true, force: true });
  await rename(temporary, target);
  await sync(root);
  await prune(root, step, identity);
  return target;
}

/**
 * The newest checkpoint under `root` that is whole and belongs to `identity`; null when there is none. `passedOver` is the newest
 * checkpoint of all, if it is another one.
 */
export async function readNewestCheckpoint(
  root: string,
  layout: AdapterLayout,
  identity: string,
): Promise<{ checkpoint: CheckpointState | null; passedOver: PassedOver | null }> {
  let passedOver: PassedOver | null = null;
  for (const name of existsSync(root) ? await checkpointNames(root) : []) {
    const read = await readCheckpoint(path.join(root, name), layout, identity);
    if (typeof read !== 'string') return { checkpoint: read, passedOver };
    passedOver ??= { step: Number(name.slice('step-'.length)), reason: read };
  }
  return { checkpoint: null, passedOver };
}

/** The checkpoint in `folder`, or why it cannot be continued. */
async function readCheckpoint(
  folder: string,
  layout: AdapterLayout,
  identity: string,
): Promise<CheckpointState | string> {
  try {
    const manifest = await readManifest(folder);
    if (manifest.version !== 2 || manifest.codeVersion !== CODE_VERSION)
      return 'another version of Graft wrote it';
    if (manifest.identity !== identity) return 'it is of other data, options or another base model';
    for (const [file, digest] of Object.entries(manifest.files)) {
      if ((await hashFile(path.join(folder, file))) !== digest) return DAMAGED;
    }
    const tensors = await readAllTensors(path.join(folder, STATE_FILE));
    const { step, trainedTokens } = manifest;
    const flat = (part: string) => layout.flatten((name) => tensors.get(`${part}.${name}`)?.data);
    return { step, trainedTokens, state: new Map(STATE.map((part) => [part, flat(part)])) };
  } catch {
    // Cut off while it was written, or changed since.
    return DAMAGED;
  }
}

/** Removes all of this run's checkpoints but the newest `KEPT` up to `step`. One of a later step is left over or damaged. */
async function prune(root: string, step: number, identity: string): Promise<void> {
  let kept = 0;
  for (const name of await checkpointNames(root)) {
    const folder = path.join(root, name);
    const manifest = await readManifest(folder).catch(() => null);
    if (manifest?.identity !== identity) continue;
    if (manifest.step > step || ++kept > KEPT) await rm(folder, { recursive: true, force: true });
  }
}

async function readManifest(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(path.join(folder, 'manifest.json'), 'utf8'));
}

/** Finished checkpoints under `root`, newest first. */
async function checkpointNames(root: string): Promise<string[]> {
  return (await readdir(root))
    .filter((name) => /^step-\d{8}$/.test(name))
    .sort()
    .reverse();
}

async function sync(target: string): Promise<void> {
  const handle = await open(target, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
