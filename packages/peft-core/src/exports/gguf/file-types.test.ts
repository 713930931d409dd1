import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FileType, tensorType } from './file-types.ts';

const model = { layers: 16, heads: 8, kvHeads: 2, experts: 0, tied: false };
const typeOf = (
  fileType: FileType,
  name: string,
  width = 512,
  more: Partial<typeof model> = {},
  axes = 2,
) => {
  const [, part, kind] = /(\w+)\.(\w+)$/.exec(name)!;
  return tensorType(
    fileType,
    { ggufName: name, part: part!, kind: kind! },
    { axes, width },
    { ...model, ...more },
  );
};

test('vectors, norms, routers and positions stay float32', () => {
  assert.equal(typeOf('q4_k_m', 'blk.0.attn_norm.weight', 512, {}, 1), 'F32');
  assert.equal(typeOf('q4_k_m', 'blk.0.attn_q.bias', 512, {}, 1), 'F32');
  assert.equal(typeOf('f16', 'blk.0.ffn_gate_inp.weight'), 'F32');
  assert.equal(typeOf('q8_0', 'position_embd.weight'), 'F32');
});

test('the mixed types give more bits to the first and last layers and to every third between, as llama-quantize', () => {
  const layers = Array.from({ length: model.layers }, (_, layer) => layer);
  const six = layers.filter((layer) => typeOf('q4_k_m', `blk.${layer}.ffn_down.weight`) === 'Q6_K');
  assert.deepEqual(six, [0, 1, 4, 7, 10, 13, 14, 15]);
  assert.deepEqual(
    layers.filter((layer) => typeOf('q5_k_m', `blk.${layer}.attn_v.weight`) === 'Q6_K'),
    six,
  );
  assert.equal(typeOf('q4_k_m', 'blk.2.ffn_down.weight'), 'Q4_K');
  assert.equal(typeOf('q5_k_m', 'blk.2.attn_v.weight'), 'Q5_K');
  for (const part of ['attn_q', 'attn_k', 'attn_output', 'ffn_up', 'ffn_gate'])
    assert.equal(typeOf('q4_k_m', `blk.0.${part}.weight`), 'Q4_K', part);
  assert.equal(typeOf('q6_k', 'blk.0.ffn_up.weight'), 'Q6_K');
});

test('the output matrix has 6 bits; so has the embedding if it takes its place', () => {
  assert.equal(typeOf('q4_k_m', 'output.weight'), 'Q6_K');
  assert.equal(typeOf('q4_k_m', 'token_embd.weight'), 'Q4_K');
  assert.equal(typeOf('q4_k_m', 'token_embd.weight', 512, { tied: true }), 'Q6_K');
  assert.equal(typeOf('q8_0', 'output.weight'), 'Q8_0');
  assert.equal(typeOf('q5_k_m', 'output.weight', 576), 'Q8_0');
});

test('rows that the blocks of a type do not fill have a larger type', () => {
  const types = (width: number) =>
    (['q4_k_m', 'q5_k_m', 'q6_k', 'q8_0'] as const).map((type) => typeOf(type, 'blk.2.attn_q.weight', width));
  assert.deepEqual(types(512), ['Q4_K', 'Q5_K', 'Q6_K', 'Q8_0']);
  assert.deepEqual(types(576), ['Q5_0', 'Q5_1', 'Q8_0', 'Q8_0']);
  assert.deepEqual(types(40), ['F16', 'F16', 'F16', 'F16']);
});

test('mxfp4_moe is for experts; the other matrices are Q8_0', () => {
  assert.equal(typeOf('mxfp4_moe', 'blk.0.ffn_gate_exps.weight', 2880, { experts: 32 }, 3), 'MXFP4');
  assert.equal(typeOf('mxfp4_moe', 'blk.0.ffn_gate_exps.weight', 40, { experts: 32 }, 3), 'F16');
  for (const part of ['attn_v', 'token_embd', 'output'])
    assert.equal(typeOf('mxfp4_moe', `${part}.weight`, 2880, { experts: 8 }), 'Q8_0', part);
  for (const part of ['ffn_gate_inp.weight', 'ffn_gate_exps.bias'])
    assert.equal(typeOf('mxfp4_moe', `blk.0.${part}`, 2880, { experts: 32 }), 'F32', part);
});

test('eight experts and large models with shared values, as llama-quantize', () => {
  assert.equal(typeOf('q4_k_m', 'blk.2.attn_v.weight', 512, { experts: 8 }), 'Q8_0');
  assert.equal(typeOf('q4_k_m', 'blk.2.attn_k.weight', 512, { experts: 8 }), 'Q8_0');
  assert.equal(typeOf('q4_k_m', 'blk.2.attn_output.weight', 512, { experts: 8 }), 'Q5_K');
  assert.equal(typeOf('q4_k_m', 'blk.11.attn_v.weight', 512, { layers: 80 }), 'Q5_K');
});
