/** Tests of what methods that change weights refuse, and of the gradients of their parts; the golden matrix compares them with HF PEFT. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { parsePeftConfig } from '../../config/index.ts';
import type { GraftError } from '../../errors.ts';
import { outlineOf } from '../../outlines/index.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import { checkAgainstModel, fileTensorsFor } from '../check.ts';
import { blockSums, repeatedColumns } from '../miss/tuner.ts';
import { inverse, rotatedBlocks, rotations, rotationsOf, skewSymmetric } from '../oft/tuner.ts';
import { changedProduct } from './changed-product.ts';

const llama = { ...tinyConfig, hidden_size: 32, intermediate_size: 48 };

function refused(
  what: string,
  options: Record<string, unknown>,
  [code, param, message]: [code: string, param: string, message: RegExp],
  model: Record<string, unknown> = llama,
): void {
  test(`${options.peft_type}: ${what}`, () => {
    assert.throws(
      () => checkAgainstModel(parsePeftConfig(options), model),
      (error: GraftError) => {
        assert.deepEqual([error.code, error.param], [code, `peft.${param}`]);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

const invalid = 'invalid_peft_config';
const queries = { target_modules: ['q_proj'] };
const miss = { peft_type: 'MISS', r: 4, ...queries };
const oft = { peft_type: 'OFT', ...queries };
const hira = { peft_type: 'HIRA', r: 2, ...queries };
const lokr = { peft_type: 'LOKR', ...queries };

refused('blocks are no longer than the input', { ...miss, r: 33 }, [
  'rank_too_large',
  'r',
  /q_proj allows, 32/,
]);
refused('"bat" needs whole blocks', { ...miss, r: 12, init_weights: 'bat' }, [
  invalid,
  'r',
  /must divide both sizes/,
]);
refused('"mini" needs whole repeats', { ...miss, mini_r: 5, init_weights: 'mini' }, [
  invalid,
  'mini_r',
  /must divide the outputs/,
]);
refused('mini_r without "mini"', { ...miss, mini_r: 4 }, [
  invalid,
  'mini_r',
  /only with init_weights "mini"/,
]);
refused('dropout with "bat"', { ...miss, miss_dropout: 0.1, init_weights: 'bat' }, [
  invalid,
  'miss_dropout',
  /has no effect/,
]);
refused('embeddings', { ...miss, target_modules: ['embed_tokens'] }, [
  invalid,
  'target_modules',
  /MISS adapts linear layers, not model\.embed_tokens \(embedding\)/,
]);
for (const peft_type of ['MISS', 'OFT', 'LOKR', 'LOHA'])
  refused(
    'layers that store their weight as (in, out)',
    { peft_type, r: peft_type === 'OFT' ? 0 : 2, target_modules: ['c_attn'] },
    [invalid, 'target_modules', /HF PEFT has no (MISS|OFT|LOKR|LOHA) for layers that store/],
    tinyFamilies.gpt2,
  );
refused('r and the size of blocks', { ...oft, r: 4 }, [invalid, 'r', /determine each other/]);
refused('neither r nor the size of blocks', { ...oft, oft_block_size: 0 }, [
  invalid,
  'oft_block_size',
  /above 0/,
]);
refused('the constrained variant', { ...oft, coft: true }, [
  'unimplemented_peft_option',
  'coft',
  /not implemented/,
]);
refused('terms of no series', { ...oft, use_cayley_neumann: false, num_cayley_neumann_terms: 4 }, [
  invalid,
  'num_cayley_neumann_terms',
  /only with use_cayley_neumann/,
]);
refused('a rank above the weight', { ...hira, r: 40 }, ['rank_too_large', 'r', /rank 40/]);
refused('ranks by module', { ...hira, rank_pattern: { q_proj: 1 } }, [invalid, 'rank_pattern', /no effect/]);
refused('a pattern that matches nothing', { ...lokr, rank_pattern: { k_proj: 2 } }, [
  invalid,
  'rank_pattern',
  /"k_proj" matches none of the adapted modules, which are q_proj/,
]);
refused(
  'an embedding whose output is scaled',
  { ...hira, target_modules: ['embed_tokens'] },
  [invalid, 'target_modules', /whose output the model scales/],
  { ...llama, model_type: 'gemma3_text', layer_types: ['full_attention', 'full_attention'] },
);
refused('a scale of no dropout', { ...lokr, rank_dropout_scale: true }, [
  invalid,
  'rank_dropout_scale',
  /only with rank_dropout/,
]);
refused('a factor of 0', { ...lokr, decompose_factor: 0 }, [invalid, 'decompose_factor', /-1, or 1 or more/]);
refused(
  'layers beside a regular expression',
  { ...lokr, target_modules: '.*q_proj', layers_to_transform: 0 },
  [invalid, 'layers_to_transform', /needs target_modules to be a list/],
);

test('OFT: blocks have the size that divides the input and is nearest, in files too', () => {
  // Block sizes for 48 inputs: peft 0.21.2, OFTLayer.adjust_oft_parameters.
  const sizes = { 7: 6, 9: 8, 10: 8, 11: 12, 20: 16, 30: 24, 37: 48, 64: 48 };
  for (const [wanted, size] of Object.entries(sizes)) {
    const peft = parsePeftConfig({ ...oft, target_modules: ['down_proj'], oft_block_size: Number(wanted) });
    const [first] = fileTensorsFor(peft, llama);
    assert.deepEqual(first!.shape, [48 / size, (size * (size - 1)) / 2], wanted);
  }
});

test('defaults are those of HF PEFT for LoRA', () => {
  const { defaultTargets } = outlineOf(llama, 'CAUSAL_LM');
  for (const type of ['MISS', 'OFT', 'HIRA', 'LOKR', 'LOHA'])
    assert.deepEqual(defaultTargets[type], defaultTargets.LORA, type);
});

const random = (shape: number[], seed: number) => tf.randomUniform(shape, -1, 1, 'float32', seed);

test('gradients of sums of blocks, repeated columns, rotations and inverses', () => {
  for (const size of [3, 4]) checkGradients((x) => blockSums(x!, size), [random([2, 8], 1)]);
  for (const width of [8, 9]) checkGradients((y) => repeatedColumns(y!, width), [random([2, 4], 2)]);
  for (const count of [1, 3])
    checkGradients(
      (x, blocks) => rotatedBlocks(x!, blocks!),
      [random([2, 6], 3), random([count, 6 / count, 6 / count], 4)],
    );
  checkGradients((q) => skewSymmetric(q!, 4), [random([2, 6], 5)]);
  checkGradients((m) => inverse(tf.add(m!, tf.mul(tf.eye(3), 4))), [random([2, 3, 3], 6)]);
});

test('a changed weight gives its factors the gradient of the product, whichever way it is stored', () => {
  for (const transposed of [false, true]) {
    const shape = transposed ? [4, 3] : [3, 4];
    const weight = { kind: 'trained', tensor: random(shape, 7) } as const;
    const change = (w: tf.Tensor, ...[a, b]: tf.Tensor[]) => tf.mul(w, tf.add(tf.matMul(a!, b!), 1));
    checkGradients(
      (x, a, b) => changedProduct(x!, weight, [a!, b!], change, transposed),
      [random([5, 4], 8), random([shape[0]!, 2], 9), random([2, shape[1]!], 10)],
    );
  }
});

test('OFT: rotations merge as they are applied, and the exact ones are orthogonal', () => {
  const triangles = random([2, 6], 11);
  for (const series of [
    { use_cayley_neumann: false, num_cayley_neumann_terms: 5 },
    ...[1, 2, 3, 4, 5, 7].map((terms) => ({ use_cayley_neumann: true, num_cayley_neumann_terms: terms })),
  ]) {
    const applied = rotations(triangles, 4, series).dataSync();
    const merged = rotationsOf(triangles.dataSync() as Float32Array, 4, series).flatMap((r) => [...r]);
    for (const [i, value] of merged.entries()) assert.ok(Math.abs(value - applied[i]!) < 1e-5, `${i}`);
    if (series.use_cayley_neumann) continue;
    const r = tf.tensor(merged, [2, 4, 4]);
    const squares = tf.matMul(r, r, false, true).dataSync();
    const ones = tf.tile(tf.expandDims(tf.eye(4), 0), [2, 1, 1]).dataSync();
    for (const [i, one] of ones.entries()) assert.ok(Math.abs(squares[i]! - one) < 1e-5, `${i}`);
  }
});
