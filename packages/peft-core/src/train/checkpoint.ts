import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readSafetensors, writeSafetensors } from '../files.ts';
import type { AdapterLayout } from '../peft-model/adapter-layout.ts';
import { STATE } from './train-program.ts';

/** Everything a resumed run needs besides the inputs, which `identity` pins. */
export interface CheckpointState {
  /** Optimizer steps done. The data cursor, the schedule and the random streams follow from it and the seed. */
  step: number;
  trainedTokens: number;
  /** Micro-steps done of the next optimizer step; 0, since checkpoints are taken between steps. */
  microStep: number;
  adapter: Float32Array;
  exp_avg: Float32Array;
  exp_avg_sq: Float32Array;
}

interface Manifest {
  version: 1;
  step: number;
  trainedTokens: number;
  microStep: number;
  identity: string;
  files: Record<string, string>;
}

const STATE_FILE = 'state.safetensors';
const KEPT = 2;

const nameOf = (step: number) => `step-${String(step).padStart(8, '0')}`;

/**
 * Writes `<root>/step-<n>` so that it is there whole or not at all: temp name, fsync, manifest last, rename, folder fsync.
 * Keeps the newest two. Returns the checkpoint's folder.
 */
export async function writeCheckpoint(
  root: string,
  state: CheckpointState,
  layout: AdapterLayout,
  identity: string,
): Promise<string> {
  await mkdir(root, { recursive: true });
  const target = path.join(root, nameOf(state.step));
  const temporary = `${target}.tmp-${process.pid}`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary);
  const tensors = STATE.flatMap((part) =>
    [...layout.views(state[part])].map(([name, { shape, data }]) => ({
      name: `${part}.${name}`,
      shape,
      data,
    })),
  );
  await writeSafetensors(path.join(temporary, STATE_FILE), tensors, { format: 'pt' });
  await sync(path.join(temporary, STATE_FILE));
  const manifest: Manifest = {
    version: 1,
    step: state.step,
    trainedTokens: state.trainedTokens,
    microStep: state.microStep,
    identity,
    files: { [STATE_FILE]: await sha256(path.join(temporary, STATE_FILE)) },
  };
  await writeFile(path.join(temporary, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  await sync(path.join(temporary, 'manifest.json'));
  await sync(temporary);
  await rm(target, { recursive: true, force: true });
  await rename(temporary, target);
  await sync(root);
  for (const old of (await checkpointNames(root)).slice(KEPT))
    await rm(path.join(root, old), { recursive: true, force: true });
  return target;
}

/** The newest checkpoint under `root` that verifies and belongs to `identity`; null when there is none. Broken ones are passed over. */
export async function readNewestCheckpoint(
  root: string,
  layout: AdapterLayout,
  identity: string,
): Promise<CheckpointState | null> {
  if (!existsSync(root)) return null;
  for (const name of await checkpointNames(root)) {
    const state = await readCheckpoint(path.join(root, name), layout, identity);
    if (state) return state;
  }
  return null;
}

async function readCheckpoint(
  folder: string,
  layout: AdapterLayout,
  identity: string,
): Promise<CheckpointState | null> {
  try {
    const manifest = JSON.parse(await readFile(path.join(folder, 'manifest.json'), 'utf8')) as Manifest;
    if (manifest.version !== 1 || manifest.identity !== identity) return null;
    for (const [file, digest] of Object.entries(manifest.files)) {
      if ((await sha256(path.join(folder, file))) !== digest) return null;
    }
    const tensors = await readSafetensors(path.join(folder, STATE_FILE));
    const values = new Map<string, Float32Array>();
    for (const name of tensors.names()) values.set(name, await tensors.readFloat32(name));
    await tensors.close();
    const [adapter, exp_avg, exp_avg_sq] = STATE.map((part) =>
      layout.flatten((name) => values.get(`${part}.${name}`)),
    );
    const { step, trainedTokens, microStep } = manifest;
    return { step, trainedTokens, microStep, adapter: adapter!, exp_avg: exp_avg!, exp_avg_sq: exp_avg_sq! };
  } catch {
    // Cut off or damaged while it was written: an older one serves.
    return null;
  }
}

/** Finished checkpoints under `root`, newest first. */
async function checkpointNames(root: string): Promise<string[]> {
  return (await readdir(root))
    .filter((name) => /^step-\d{8}$/.test(name))
    .sort()
    .reverse();
}

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

async function sync(target: string): Promise<void> {
  const handle = await open(target, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
