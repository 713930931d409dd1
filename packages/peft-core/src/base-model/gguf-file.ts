import { architectureOf, ggufConfig } from '../gguf/config.ts';
import { openGguf } from '../gguf/gguf.ts';
import { GgufTensors, readGgufTensor } from '../gguf/tensors.ts';
import { ggufTokenizer } from '../gguf/tokenizer.ts';
import type { OpenedModel } from './base-model.ts';

/** Opens a GGUF file as a Hugging Face model. */
export async function openGgufModel(path: string): Promise<OpenedModel> {
  const gguf = await openGguf(path);
  try {
    const config = ggufConfig(gguf, await readGgufTensor(gguf, 'rope_freqs.weight'));
    const { bos_token_id, eos_token_id, pad_token_id } = config;
    return {
      format: 'gguf',
      path,
      config,
      generationConfig: { bos_token_id, eos_token_id, pad_token_id },
      tokenizerFiles: ggufTokenizer(
        path,
        gguf.metadata,
        (config.max_position_embeddings ?? config.n_positions) as number,
      ),
      tensors: new GgufTensors(gguf, architectureOf(gguf), {
        query: config.num_attention_heads as number,
        keyValue: config.num_key_value_heads as number,
      }),
      weightFiles: [path],
      close: () => gguf.close(),
    };
  } catch (error) {
    await gguf.close();
    throw error;
  }
}
