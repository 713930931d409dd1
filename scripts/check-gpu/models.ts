import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce, openBaseModel, writeModelFolder } from '@graft/peft-core/files';
import { type ByteModelConfig, writeByteModel, writeTinyModel } from '@graft/peft-core/testing';
import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { adapters, recipes, type Workload, workloadOf } from '../../bench/training/workloads.ts';
import { cacheFolder } from '../bootstrap/cache-folder.mjs';
import { packagedModel } from '../methods/packaged-model.ts';
import type { CheckContext } from './check.ts';

/** A model's HF folder, which Graft and PyTorch both load, and what is trained on it. */
export interface Task {
  model: string;
  workload: Workload;
}

type BaseDtype = 'auto' | 'nf4';

/** The demo's data and SmolLM2-135M, stored in the precision that is computed in; small: a tiny model. */
async function demo({ small, shared, folder, precision }: CheckContext): Promise<Task> {
  const model = join(shared, 'models', 'demo');
  await buildOnce(model, async (unfinished) => {
    if (small) return await writeTinyModel(unfinished, { max_position_embeddings: 1024 });
    const gguf = await packagedModel('smollm2');
    const base = await openBaseModel(gguf);
    const dtype = precision === 'bf16' ? 'bfloat16' : 'float32';
    await writeModelFolder(unfinished, { base, tensors: [], dtype });
    await base.close();
  });
  const workload = await workloadOf('demo', recipes.demo!, model, folder);
  return { model, workload: small ? { ...workload, batchSize: 2 } : workload };
}

/** Fields of config.json. `billion` and `seven` have the sizes of known models: 1.24 and 6.74 billion parameters, 2.5 and 13.5 GB. */
export const randomModels: Record<'billion' | 'seven' | 'small', ByteModelConfig> = JSON.parse(
  await readFile(join(import.meta.dirname, 'testdata/random-models.json'), 'utf8'),
);

interface Size {
  rows: number;
  /** Length of each row. */
  tokens: number;
  checkpointed: boolean;
}

/** Texts of one length on a random model, which is kept in the cache folder; small: on a small one, as many of which share a folder. */
const random =
  (name: 'billion' | 'seven', { rows, tokens, checkpointed }: Size, base: BaseDtype = 'auto') =>
  async ({ small, shared, folder }: CheckContext): Promise<Task> => {
    const model = small ? join(shared, 'models', 'random') : join(cacheFolder(), 'models', `random-${name}`);
    await buildOnce(model, (unfinished) =>
      writeRandomModel(unfinished, randomModels[small ? 'small' : name]),
    );
    const [count, length] = small ? [2, 32] : [rows, tokens];
    const trainingFile = join(folder, 'train.jsonl');
    await writeFile(trainingFile, `${lettersOf(4 * count, length).join('\n')}\n`);
    const training = { gradient_checkpointing: checkpointed, base_dtype: base };
    return { model, workload: { name, trainingFile, batchSize: count, peft: adapters.large, training } };
  };

const shapeOf1B = { rows: 4, tokens: 512, checkpointed: false };
const shapeOf7B = { rows: 1, tokens: 2048, checkpointed: true };

export const tasks = {
  demo,
  billion: random('billion', shapeOf1B),
  'billion-nf4': random('billion', shapeOf1B, 'nf4'),
  seven: random('seven', shapeOf7B),
  'seven-nf4': random('seven', shapeOf7B, 'nf4'),
};

/** Lines of `count` letters each, which are tokens of the model's tokenizer, none like another. */
function lettersOf(lines: number, count: number): string[] {
  const letter = (line: number, i: number) => String.fromCharCode(97 + ((line * 7 + i * i + 3 * i) % 26));
  return Array.from({ length: lines }, (_, line) =>
    JSON.stringify({ text: Array.from({ length: count }, (_, i) => letter(line, i)).join('') }),
  );
}

/**
 * In bf16, a tensor at a time. Values are a short random sequence over and over: a billion draws would take minutes. Its length is a
 * prime, so that as many rows of a matrix in turn begin at different places of it.
 */
export async function writeRandomModel(folder: string, config: ByteModelConfig): Promise<void> {
  const sequence = toBfloat16(Float32Array.from({ length: 65_537 }, (_, i) => 0.04 * Math.sin(i * i * 0.37)));
  const one = toBfloat16(Float32Array.of(1))[0]!;
  await writeByteModel(folder, config, ({ name, shape }, part) => ({
    name,
    shape,
    dtype: 'BF16',
    data: async () => {
      const values = new Uint16Array(shape.reduce((product, size) => product * size, 1));
      if (shape.length === 1) return values.fill(one);
      const offset = (part * 7919) % sequence.length;
      for (let at = -offset; at < values.length; at += sequence.length) {
        const from = Math.max(0, -at);
        values.set(sequence.subarray(from, values.length - at), at + from);
      }
      return values;
    },
  }));
}
