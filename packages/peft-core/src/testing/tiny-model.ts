import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TensorToWrite, writeSafetensors } from '../files.ts';
import { outlineOf } from '../outlines/index.ts';
import { shapeInFiles } from '../outlines/outline.ts';
import { Random } from '../random.ts';
import { elementCount } from '../tensors/tensor-source.ts';

const special = ['<s>', '</s>', '<pad>', '<unk>'];

export const tinyConfig = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  vocab_size: 256 + special.length,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  bos_token_id: 256,
  eos_token_id: 257,
};

/**
 * Writes a real llama with random weights, one token per byte and a chat template as a Hugging Face folder of about 100 kB: small
 * enough to train in a test. Loads no TensorFlow. `overrides` are fields of config.json.
 */
export async function writeTinyModel(folder: string, overrides: Record<string, unknown> = {}): Promise<void> {
  const config = { ...tinyConfig, ...overrides };
  const outline = outlineOf(config);
  const shift = 'normShift' in outline ? Number(outline.normShift) : 0;
  await writeByteModel(folder, config, ({ name, shape }, part) => {
    const random = new Random(1, 'test', part);
    const length = elementCount(shape);
    const norm = shape.length === 1 && name.endsWith('.weight');
    // Every norm multiplies by 1; those of gated DeltaNet layers are not stored as differences from it.
    const factor = name.endsWith('.linear_attn.norm.weight') ? 1 : 1 - shift;
    // A factor of a layer's output.
    if (name.endsWith('.layer_scalar')) return { name, shape, data: Float32Array.of(0.8) };
    const data = Float32Array.from({ length }, () => (norm ? factor : 0.1 * random.normal()));
    return { name, shape, data };
  });
}

export const tinyTokenizerConfig = {
  bos_token: special[0],
  eos_token: special[1],
  chat_template:
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '</s>' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}",
};

/**
 * A chat template with tools, their calls and results, and reasoning: the prompt opens it with `thinks` true, leaves it to the model with
 * "may", and closes it otherwise.
 */
export const toolTemplate =
  "{% if tools %}{{ 'tools: ' + (tools | tojson) + '</s>' }}{% endif %}" +
  "{% for message in messages %}{{ message['role'] + ': ' + (message['content'] or '') }}" +
  "{% for call in message['tool_calls'] or [] %}{{ '<tool_call>\n{\"name\": \"' + call['function']['name'] + '\", ' }}" +
  "{{ '\"arguments\": ' + (call['function']['arguments'] | tojson) + '}\n</tool_call>' }}{% endfor %}{{ '</s>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'assistant: ' }}{% if thinks != 'may' %}{{ '<think>\n' }}" +
  "{% if not thinks %}{{ '\n</think>\n\n' }}{% endif %}{% endif %}{% endif %}";

/** Writes the same model with `toolTemplate`, a context of 4,096 tokens, and `added` tokens from id 260 on, which are not special. */
export async function writeTinyToolModel(
  folder: string,
  added: readonly string[] = ['<think>', '</think>'],
): Promise<void> {
  await writeTinyModel(folder, {
    max_position_embeddings: 4096,
    vocab_size: tinyConfig.vocab_size + added.length,
  });
  const write = (name: string, value: unknown) => writeFile(path.join(folder, name), JSON.stringify(value));
  await write('tokenizer_config.json', { ...tinyTokenizerConfig, chat_template: toolTemplate });
  const tokenizer = byteTokenizer() as { added_tokens: object[] };
  const [first] = tokenizer.added_tokens;
  const more = added.map((content, i) => ({
    ...first,
    id: tinyConfig.vocab_size + i,
    content,
    special: false,
  }));
  await write('tokenizer.json', { ...tokenizer, added_tokens: [...tokenizer.added_tokens, ...more] });
}

/** Fields of config.json. */
export type ByteModelConfig = Record<string, unknown> & { model_type: string };

/** Writes the folder of a model of any size with that tokenizer; `tensorOf` creates its parameters, `config` is its config.json. */
export async function writeByteModel(
  folder: string,
  config: ByteModelConfig,
  tensorOf: (parameter: { name: string; shape: readonly number[] }, part: number) => TensorToWrite,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const write = (name: string, value: unknown) => writeFile(path.join(folder, name), JSON.stringify(value));
  await write('config.json', config);
  await write('generation_config.json', { eos_token_id: [257] });
  await write('tokenizer.json', byteTokenizer());
  await write('tokenizer_config.json', tinyTokenizerConfig);
  await writeSafetensors(
    path.join(folder, 'model.safetensors'),
    outlineOf(config).parameters.map((parameter, part) =>
      tensorOf({ name: parameter.name, shape: shapeInFiles(parameter) }, part),
    ),
  );
}

/** Byte-level BPE without merges: each byte is its character in GPT-2's alphabet of printable letters. */
export function byteTokenizer(): Record<string, unknown> {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let next = 256;
  const letters = Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : next++),
  );
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, i) => ({ id: 256 + i, content, ...plain })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(letters.map((letter, id) => [letter, id])),
      merges: [],
    },
  };
}
