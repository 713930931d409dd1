import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { runPython } from '../../scripts/golden/environment/run-python.ts';
import { scratchFolder } from './scratch-folder.ts';

/** A base or PEFT model, and what transformers computes with it. */
export type ReferenceScore = {
  name: string;
  model: string;
  adapter: string | null;
  inputs: { input_ids: number[]; logprobs: number[] }[];
};

export type TinyFixture = {
  scores: ReferenceScore[];
  modelFolder: (name: string) => string;
  adapterFolder: (name: string) => string;
};

/**
 * Tiny random llamas and PEFT adapters made by scripts/golden/references/tiny.py, with reference scores.
 * The test runner gives all files of a run one scratch folder, so that they are made once.
 */
export async function tinyFixture(): Promise<TinyFixture> {
  const parent = process.env.GRAFT_TEST_SCRATCH ?? scratchFolder('tiny');
  const folder = join(parent, 'tiny');
  const start = performance.now();
  if (!existsSync(folder)) {
    const unfinished = await mkdtemp(`${folder}-`);
    await runPython('tiny.py', [unfinished]);
    // Another file of the same run may have been faster; its fixture is the same.
    await rename(unfinished, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY') throw error;
    });
  }
  performance.measure('waiting for models', { start });
  const { scores } = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8'));
  return {
    scores,
    modelFolder: (name) => join(folder, 'models', name),
    adapterFolder: (name) => join(folder, 'adapters', name),
  };
}
