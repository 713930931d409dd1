import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '@graft/peft-core/models';
import { moduleNames } from '@graft/peft-core/module-names';

/** Tokens that the tiny model can attend to. */
export const tinyContext = 64;

const special = ['<s>', '</s>'];

const config = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 256 + special.length,
  max_position_embeddings: tinyContext,
  hidden_act: 'silu',
  tie_word_embeddings: true,
};

/** A Hugging Face folder of a llama of width 32: weights all zero, one token per byte, a chat template. */
export async function writeTinyModel(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const write = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value));
  await write('config.json', config);
  await write('tokenizer.json', byteTokenizer());
  await write('tokenizer_config.json', {
    bos_token: special[0],
    eos_token: special[1],
    chat_template:
      "{% for m in messages %}{{ m['role'] + ':' + m['content'] + '</s>' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}",
  });
  const tensors = moduleNames(config)
    .filter(({ name }) => name !== 'lm_head')
    .map(({ name, in: width = 0, out }) => {
      const shape = out === undefined ? [width] : [out, width];
      return { name: `${name}.weight`, shape, data: new Float32Array(width * (out ?? 1)) };
    });
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
}

/** Byte-level BPE without merges: bytes stand for themselves in GPT-2's alphabet of printable letters. */
function byteTokenizer(): object {
  const isPrintable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let letter = 256;
  const vocab = Object.fromEntries(
    Array.from({ length: 256 }, (_, byte) => [
      String.fromCodePoint(isPrintable(byte) ? byte : letter++),
      byte,
    ]),
  );
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    added_tokens: special.map((content, i) => ({
      ...{ id: 256 + i, content, special: true },
      ...{ single_word: false, lstrip: false, rstrip: false, normalized: false },
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', unk_token: null, byte_fallback: false, vocab, merges: [] },
  };
}
