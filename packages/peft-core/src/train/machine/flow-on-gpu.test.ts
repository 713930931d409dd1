/** Tests the GPU layout of layers: in bf16, activations and kept tensors are bfloat16, and the results match float32. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeOf, type RecordedFunction, recordFunctions, tf } from '@graft/tf-graph';
import { parsePeftConfig, resolveTraining } from '../../config/index.ts';
import { architectureFor } from '../../models/registry.ts';
import { activation, gatedProduct } from '../../nn/activations.ts';
import { attention } from '../../nn/attention/attention.ts';
import { RotaryTables, sideBySide } from '../../nn/attention/heads.ts';
import { packedCausalMask } from '../../nn/attention/masks.ts';
import { rotationOf } from '../../nn/attention/rotary.ts';
import { flowing, layingOutFor, withComputation } from '../../nn/computation.ts';
import { dropout } from '../../nn/dropout.ts';
import { layerNorm } from '../../nn/layer-norm.ts';
import { trainedProduct } from '../../nn/linear.ts';
import { updatedLinear } from '../../nn/low-rank.ts';
import { flowingSum, residualSum } from '../../nn/residual.ts';
import { rmsNorm } from '../../nn/rms-norm.ts';
import { scaledColumns, withBias } from '../../nn/scaled-columns.ts';
import { distance, floats, type Given, type Layer, run } from '../../nn/testing/against-stock.ts';
import { packedPositions } from '../../nn/testing/packed-positions.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import { buildTrainProgram } from '../train-program.ts';

const draws = () => ({ seed: tf.tensor1d([3, 5], 'int32'), stream: 0 });
const attends =
  (scoreBytes: number): Layer =>
  ([q0, k0, v0]) => {
    const heads = {
      heads: 4,
      kvHeads: 2,
      headSize: 8,
      scale: 0.35,
      rotation: rotationOf(tf.range(0, 24, 1, 'int32'), [1, 0.3, 0.1, 0.03]),
    };
    const parts = [q0!, k0!, v0!].map(flowing);
    const { q, k, v } = new RotaryTables().byHead(parts, heads, 1);
    const mask = packedCausalMask(packedPositions(Array.from({ length: 24 }, (_, i) => (i < 10 ? 1 : 2))), 1);
    return sideBySide(withComputation({ scoreBytes }, () => attention(q, k, v, mask)));
  };
const queriesKeysValues = () => [floats([24, 32]), floats([24, 16]), floats([24, 16])];

const layers: Record<string, [Layer, Given[]]> = {
  rmsNorm: [([x, w]) => rmsNorm(x!, w!, 1e-5), [floats([6, 8]), floats([8])]],
  'rmsNorm of heads': [([x, w]) => rmsNorm(flowing(x!), w!, 1e-5), [floats([6, 2, 8]), floats([8])]],
  layerNorm: [([x, w, b]) => layerNorm(x!, w!, b!, 1e-5), [floats([6, 8]), floats([8]), floats([8])]],
  'layerNorm of a stream': [
    ([x, w, b]) => layerNorm(x!, w!, b!, 1e-5, { isStream: true }),
    [floats([6, 8]), floats([8]), floats([8])],
  ],
  activation: [([x]) => activation('gelu')(flowing(x!)), [floats([6, 8], 2)]],
  gatedProduct: [
    ([gate, up]) => gatedProduct('silu', [flowing(gate!), flowing(up!)]),
    [floats([6, 8], 2), floats([6, 8])],
  ],
  'gatedProduct without a curve': [
    ([gate, up]) => gatedProduct('linear', [flowing(gate!), flowing(up!)]),
    [floats([6, 8], 2), floats([6, 8])],
  ],
  dropout: [([x]) => dropout(flowing(x!), 0.4, draws()), [floats([6, 8])]],
  scaledColumns: [([x, f]) => scaledColumns(x!, f!), [floats([6, 8]), floats([8])]],
  withBias: [([x, b]) => withBias(x!, b!), [floats([6, 8]), floats([8])]],
  'a product and an update': [
    ([x, a, b]) => flowingSum(trainedProduct(x!, b!), trainedProduct(trainedProduct(x!, a!), b!)),
    [floats([6, 8]), floats([8, 8]), floats([5, 8])],
  ],
  updatedLinear: [
    ([x, w, a, b]) => {
      const linear = { weight: { kind: 'trained', tensor: w! }, bias: null, transposed: false } as const;
      return updatedLinear(x!, linear, [{ a: a!, b: b!, scale: 0.5, offset: 0 }]);
    },
    [floats([6, 8]), floats([10, 8]), floats([2, 8]), floats([10, 2])],
  ],
  residualSum: [([x, y]) => residualSum(x!, flowing(y!)), [floats([6, 8]), floats([6, 8])]],
  'attention at once': [attends(1 << 20), queriesKeysValues()],
  'attention in blocks': [attends(2000), queriesKeysValues()],
};

for (const [name, [layer, given]] of Object.entries(layers))
  test(`${name}, laid out for a GPU in bf16`, async () => {
    const expected = await run(layer, given, 'stock', 'fp32');
    const results = await layingOutFor('gpu', () => run(layer, given, 'stock', 'bf16'));
    for (const [i, result] of results.entries()) {
      const off = distance(result, expected[i]!);
      assert.ok(off <= 0.03, `${i === 0 ? 'the output' : `gradient ${i}`} is off by ${off}`);
    }
    const exact = await layingOutFor('gpu', () => run(layer, given, 'stock', 'fp32'));
    assert.deepEqual(exact, expected, 'in fp32 a GPU computes what a processor does');
  });

/** Sizes of which none is a product of others. */
const config = {
  ...tinyConfig,
  hidden_size: 40,
  intermediate_size: 112,
  num_hidden_layers: 3,
  head_dim: 8,
  num_attention_heads: 6,
  num_key_value_heads: 3,
};
const tokens = 64;
const labels = 32;

function step(checkpointing: boolean): Promise<RecordedFunction[]> {
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: 'all-linear' });
  const training = { precision: 'bf16', gradient_checkpointing: checkpointing } as const;
  return recordFunctions(() =>
    layingOutFor('gpu', async () => {
      const { program } = buildTrainProgram({
        architecture: architectureFor('llama', config, 'CAUSAL_LM'),
        objective: 'next_token',
        peft,
        form: 'trained',
        storage: 'bfloat16',
        precision: 'bf16',
        implementation: 'stock',
        evaluationGrid: null,
        grid: { rows: 1, tokens, inputTokens: 0, labels, sequences: 1, spans: 4 },
        training: resolveTraining({ peft, training, exampleCount: 8, hasValidationFile: false }),
      });
      program.close();
    }),
  );
}

test('in bf16 a GPU keeps no float32 for the backward pass of what flows between products', async () => {
  const [{ nodes }] = (await step(false)) as [RecordedFunction];
  const loss = nodes.find(({ name }) => name.endsWith('out/loss'))!;
  const forwardEnds = nodes.findIndex(({ name }) => name === nodeOf(loss.inputs[0]!));
  const lastUse = new Map<string, number>();
  for (const [i, { inputs }] of nodes.entries()) for (const input of inputs) lastUse.set(input, i);
  const kept = nodes.slice(0, forwardEnds).flatMap(({ name, outputs }) =>
    outputs.flatMap(({ dtype, shape }, i) => {
      const size = (shape ?? []).reduce((product, length) => product * length, 1);
      return lastUse.get(`${name}:${i}`)! > forwardEnds ? [`${dtype} ${size}`] : [];
    }),
  );
  const {
    intermediate_size: wide,
    head_dim: D,
    num_attention_heads: heads,
    num_key_value_heads: few,
  } = config;
  for (const width of [wide, heads * D, few * D]) {
    assert.ok(kept.includes(`bfloat16 ${tokens * width}`), `${width} columns are kept`);
    for (const rows of [tokens, labels])
      assert.ok(!kept.includes(`float32 ${rows * width}`), `${width} columns`);
  }
});
