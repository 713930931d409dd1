import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Random } from '../../random.ts';
import { tinyConfig, writeByteModel } from '../../testing/tiny-model.ts';

/** Ids of the tiny tokenizer's special tokens; `turnEnd` is named `<|im_end|>` in a chain model. */
export const chainTokens = { bos: 256, eos: 257, turnEnd: 259 };

/**
 * Writes a real llama model whose blocks add nothing and whose head rows are the embeddings of the preceding tokens: with greedy sampling
 * it generates `chain` token by token after its first token, whatever precedes that. Its chat template ends turns with `<|im_end|>`, and
 * its files name only `</s>` as the end token, like those of a base model.
 */
export async function writeChainModel(
  folder: string,
  chain: readonly number[],
  generationConfig: Record<string, unknown> = {},
): Promise<void> {
  const config = { ...tinyConfig, tie_word_embeddings: false };
  const [rows, width] = [tinyConfig.vocab_size, tinyConfig.hidden_size];
  const random = new Random(3, 'test', 0);
  const embedding = Float32Array.from({ length: rows * width }, () => random.normal());
  const head = new Float32Array(rows * width);
  for (const [i, token] of chain.slice(1).entries()) {
    const before = chain[i]! * width;
    head.set(embedding.subarray(before, before + width), token * width);
  }
  await writeByteModel(folder, config, ({ name, shape }) => {
    const length = shape.reduce((size, n) => size * n, 1);
    const special = { 'model.embed_tokens.weight': embedding, 'lm_head.weight': head }[name];
    return { name, shape, data: special ?? new Float32Array(length).fill(name.includes('norm') ? 1 : 0) };
  });
  const file = (name: string) => path.join(folder, name);
  const tokenizer = await readFile(file('tokenizer.json'), 'utf8');
  await writeFile(file('tokenizer.json'), tokenizer.replaceAll('<unk>', '<|im_end|>'));
  const tokenizerConfig = JSON.parse(await readFile(file('tokenizer_config.json'), 'utf8'));
  const template = String(tokenizerConfig.chat_template).replaceAll('</s>', '<|im_end|>');
  await writeFile(
    file('tokenizer_config.json'),
    JSON.stringify({ ...tokenizerConfig, chat_template: template }),
  );
  await writeFile(
    file('generation_config.json'),
    JSON.stringify({ eos_token_id: chainTokens.eos, ...generationConfig }),
  );
}
