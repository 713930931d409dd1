import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { scoreTexts } from '../../index.ts';
import { architectureFor } from '../../models/registry.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../../testing/train-adapter.ts';
import { ServedModels } from '../served-models.ts';
import { limitsFor, OneSequence } from './one-sequence.ts';

/** Maximum positions of prompt, answer and virtual tokens together. */
export const CONTEXT = 48;

/** A tiny base model, and trained adapters on it by name. */
export interface AdapterBench {
  base: BaseModel;
  names: string[];
  /** Null for the base model alone. */
  folderOf(name: string | null): string | null;
  /** Number of reads of the base model's embedding since this was last reset. */
  loads: number;
  close(): Promise<void>;
}

export async function makeAdapterBench(given: {
  /** Fields of config.json. */
  config?: Record<string, unknown>;
  /** Name of the embedding's weight. */
  embedding: string;
  adapters: Record<string, Record<string, unknown>>;
  /** Line `i` of the training file. */
  line(i: number): Record<string, unknown>;
}): Promise<AdapterBench> {
  const root = await mkdtemp(path.join(tmpdir(), 'graft-switch-'));
  await writeTinyModel(path.join(root, 'model'), given.config);
  const opened = await openBaseModel(path.join(root, 'model'));
  const { tensors } = opened;
  const base: BaseModel = {
    ...opened,
    tensors: {
      names: () => tensors.names(),
      has: (name) => tensors.has(name),
      info: (name) => tensors.info(name),
      readBfloat16: (name, out) => tensors.readBfloat16(name, out),
      readFloat32: (name, out) => {
        if (name === given.embedding) bench.loads++;
        return tensors.readFloat32(name, out);
      },
    },
  };
  const bench: AdapterBench = {
    base,
    names: Object.keys(given.adapters),
    folderOf: (name) => (name === null ? null : path.join(root, name)),
    loads: 0,
    async close() {
      await base.close();
      await rm(root, { recursive: true });
    },
  };
  const trainingFile = path.join(root, 'train.jsonl');
  const lines = Array.from({ length: 4 }, (_, i) => JSON.stringify(given.line(i)));
  await writeFile(trainingFile, lines.join('\n'));
  for (const [seed, [name, peft]] of Object.entries(given.adapters).entries()) {
    const training = { learning_rate: 0.05, max_steps: 3, seed };
    const outputDir = path.join(root, name);
    await trainAdapter(trainOptions({ base, trainingFile, exampleCount: 4, peft, training, outputDir }));
  }
  return bench;
}

/**
 * Switches between the adapters on a base that is loaded once: each must give the log-probabilities of `scoreTexts` for
 * `input`, from index `from` on. `answer` returns them for a sequence created by `begin`; `virtual` are ids to put before the input.
 */
export async function checkTurns(
  bench: AdapterBench,
  input: { input_ids: number[]; labels?: number[] },
  from: number,
  answer: (begin: (encoded?: readonly number[]) => OneSequence, virtual: number[]) => number[],
): Promise<void> {
  const { base, names, folderOf } = bench;
  const turns = [null, ...names, null, 'prefix', 'lora', null, 'prefix', 'prompt', null];
  const expected = new Map<string | null, number[]>();
  for (const name of new Set(turns)) expected.set(name, await scored(base, folderOf(name), input));
  for (const name of names)
    assert.ok(
      expected.get(name)!.some((x, i) => Math.abs(x - expected.get(null)![i]!) > 1e-3),
      `${name} does nothing`,
    );

  bench.loads = 0;
  const architecture = architectureFor(base.modelType, base.config);
  const models = new ServedModels(base, architecture, limitsFor(CONTEXT));
  for (const name of turns) {
    const served = await models.use(folderOf(name));
    await served.ready();
    const begin = (encoded?: readonly number[]) => new OneSequence(served, CONTEXT, encoded);
    const found = answer(begin, served.model.model.virtualTokens);
    served.release();
    const wanted = expected.get(name)!.slice(from);
    assert.equal(found.length, wanted.length);
    const largest = Math.max(...found.map((one, i) => Math.abs(one - wanted[i]!)));
    assert.ok(largest < 1e-4, `${name}: differs by ${largest}`);
  }
  await models.close();
  assert.equal(bench.loads, 1);
}

async function scored(
  base: BaseModel,
  adapterDir: string | null,
  input: { input_ids: number[]; labels?: number[] },
): Promise<number[]> {
  for await (const score of scoreTexts({ base, adapterDir, input: [input] }))
    if ('logprobs' in score) return score.logprobs;
  throw new Error('no score');
}

export function logProbability(logits: Float32Array, id: number): number {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  return logits[id]! - largest - Math.log(logits.reduce((sum, x) => sum + Math.exp(x - largest), 0));
}
