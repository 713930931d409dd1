import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { writeSafetensors } from '../safetensors/write-safetensors.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { openBaseModel } from './open-base-model.ts';
import { tinyWeights, writeTinyFolder } from './testing/tiny-folder.ts';

const at = tempFolder();
type Weights = ReturnType<typeof tinyWeights>;

/** The message about a llama that calls itself something else. */
async function messageOf(name: string, change: (weights: Weights) => Weights): Promise<string> {
  const folder = at(`${name.replaceAll(/\W/g, '-')}`);
  await writeTinyFolder(folder, { model_type: name });
  await writeSafetensors(`${folder}/model.safetensors`, change(tinyWeights()));
  const error = await openBaseModel(folder).then(
    () => assert.fail('it was opened'),
    (error: GraftError) => error,
  );
  assert.equal(error.code, 'unsupported_model');
  return error.message;
}

test('an unknown model_type: the nearest family, and whether its weights match', async () => {
  const same = await messageOf('llama5', (weights) => weights);
  assert.match(
    same,
    /config.json: model_type "llama5" is not supported. The nearest supported family is llama/,
  );
  assert.match(same, /with 20 weights; the checkpoint has all of them with these shapes, and no others/);
  assert.match(same, /set model_type to "llama"/);

  const changed = await messageOf('llama-next', (weights) => [
    ...weights
      .filter(({ name }) => !name.endsWith('1.mlp.up_proj.weight'))
      .map((each) =>
        each.name === 'model.norm.weight' ? { ...each, shape: [16], data: each.data.slice(0, 16) } : each,
      ),
    { name: 'model.layers.0.mixer.A_log', shape: [2], data: Float32Array.of(1, 2) },
    { name: 'model.layers.0.self_attn.rotary_emb.inv_freq', shape: [4], data: new Float32Array(4) },
  ]);
  assert.match(
    changed,
    /is llama, with 20 weights; missing: 1 \(model.layers.1.mlp.up_proj.weight\); with other shapes: 1 \(model.norm.weight\); in the checkpoint, and not of llama: 1 \(model.layers.0.mixer.A_log\)$/,
  );
});

test('the norms of heads decide between families that are alike', async () => {
  const withHeadNorms = await messageOf('qwen33', (weights) => [
    ...weights,
    ...[0, 1].flatMap((i) =>
      ['q_norm', 'k_norm'].map((norm) => ({
        name: `model.layers.${i}.self_attn.${norm}.weight`,
        shape: [8],
        data: new Float32Array(8),
      })),
    ),
  ]);
  assert.match(withHeadNorms, /is qwen3, with 24 weights; the checkpoint has all/);
});

test('weights of no family: the supported ones are listed', async () => {
  const message = await messageOf('mamba', () => [
    { name: 'backbone.layers.0.mixer.A_log', shape: [2], data: Float32Array.of(1, 2) },
  ]);
  assert.match(message, /"mamba" is not supported, and no family has such weights; supported: llama, /);
});
