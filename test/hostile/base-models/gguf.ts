import { tinyGguf } from '../../../packages/peft-core/src/base-model/testing/tiny-folder.ts';
import {
  type Field,
  type GgufToWrite,
  text,
  u64,
} from '../../../packages/peft-core/src/gguf/testing/write-gguf.ts';
import { between, type Draw, pick } from './draw.ts';
import { hostileTemplate } from './patterns-and-templates.ts';

/** A GGUF file with one change. */
export interface GgufChange {
  name: string;
  gguf: GgufToWrite;
  says: RegExp;
}

export function ggufChange(draw: Draw): GgufChange {
  const sound = tinyGguf();
  const raw = (...parts: Buffer[]): Field => ({ type: 'raw', value: Buffer.concat(parts) });
  const u32 = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);
  const set = (name: string, fields: Record<string, Field>, says: RegExp): GgufChange => ({
    name,
    gguf: { ...sound, fields: { ...sound.fields, ...fields } },
    says,
  });
  const huge = 2n ** BigInt(between(draw, 33, 62));
  const count = between(draw, 8193, 100_000);
  const { source } = hostileTemplate(draw);
  return pick(draw, [
    () => ({ name: 'keys', gguf: { ...sound, keyCount: huge }, says: /claims .* keys/ }),
    () => ({ name: 'tensors', gguf: { ...sound, tensorCount: huge }, says: /claims .* tensors/ }),
    () => ({ name: 'version', gguf: { ...sound, version: between(draw, 4, 60_000) }, says: /version/ }),
    () => set('long text', { x: raw(u32(8), u64(huge)) }, /"x" is a string of/),
    () => set('long array', { x: raw(u32(9, 5), u64(huge)) }, /"x" claims/),
    () =>
      set(
        'many elements',
        { x: raw(u32(9, 0), u64(4_000_001), Buffer.alloc(4_000_001)) },
        /more than 4000000 elements/,
      ),
    () =>
      set(
        'deep array',
        { x: raw(u32(9), ...Array.from({ length: 50 }, () => Buffer.concat([u32(9), u64(1)]))) },
        /nests arrays/,
      ),
    () => set('type', { x: raw(u32(between(draw, 13, 2 ** 31))) }, /unknown type/),
    () =>
      set(
        'alignment',
        { 'general.alignment': { type: 'u32', value: pick(draw, [0, 7, 2 ** 30]) } },
        /general\.alignment/,
      ),
    () =>
      set(
        'architecture',
        {
          'general.architecture': {
            type: 'string',
            value: pick(draw, ['__proto__', '', 'x'.repeat(10_000)]),
          },
        },
        /architecture/,
      ),
    () =>
      set(
        'heads',
        { 'llama.attention.head_count': { type: 'u32', value: pick(draw, [0, 3, 2 ** 31]) } },
        /head/,
      ),
    () =>
      set(
        'layers',
        { 'llama.block_count': { type: 'u32', value: between(draw, 1001, 2 ** 31) } },
        /num_hidden_layers/,
      ),
    () =>
      set(
        'eos',
        { 'tokenizer.ggml.eos_token_id': { type: 'u32', value: between(draw, 12, 2 ** 31) } },
        /eos_token_id/,
      ),
    () =>
      set(
        'tokenizer',
        { 'tokenizer.ggml.pre': { type: 'string', value: pick(draw, ['__proto__', 'nothing']) } },
        /pre-tokenizer/,
      ),
    () => set('template', { 'tokenizer.chat_template': { type: 'string', value: source } }, /chat template/),
    () =>
      set(
        'long token',
        { 'tokenizer.ggml.tokens': { type: 'strings', value: ['x'.repeat(5000)] } },
        /5000 characters|tokens/,
      ),
    () => ({
      name: `rope_freqs of ${count}`,
      gguf: {
        ...sound,
        tensors: [
          ...sound.tensors,
          { name: 'rope_freqs.weight', shape: [count], type: 0, data: new Uint8Array(4 * count) },
        ],
      },
      says: /rope_freqs\.weight" has \d+ values; at most 8192/,
    }),
    () => ({
      name: 'rope_freqs of another size',
      gguf: {
        ...sound,
        fields: { ...sound.fields, 'llama.rope.dimension_count': { type: 'u32', value: 2 ** 31 } as Field },
        tensors: [
          ...sound.tensors,
          { name: 'rope_freqs.weight', shape: [5], type: 0, data: new Uint8Array(20) },
        ],
      },
      says: /rope_freqs\.weight/,
    }),
    () => ({
      name: 'offset',
      gguf: {
        ...sound,
        tensors: sound.tensors.map((tensor, i) => (i === 3 ? { ...tensor, offset: huge } : tensor)),
      },
      says: /tensor ".*"/,
    }),
    () => ({
      name: 'shape',
      gguf: {
        ...sound,
        tensors: sound.tensors.map((tensor, i) => (i === 3 ? { ...tensor, shape: [huge, huge] } : tensor)),
      },
      says: /impossible shape/,
    }),
    () => set('text as key', { [text('x').toString('latin1').repeat(9)]: raw(u32(99)) }, /unknown type/),
  ])();
}
