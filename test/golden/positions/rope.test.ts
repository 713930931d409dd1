/** Rotary positions up to 32,767 with the scalings of published models, against transformers. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { rotationOf } from '../../../packages/peft-core/src/nn/attention/rotary.ts';
import type { DecoderOutline } from '../../../packages/peft-core/src/outlines/decoder.ts';
import { modelTypes, outlineOf } from '../../../packages/peft-core/src/outlines/index.ts';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';

type Config = Record<string, unknown> & { model_type: string };

interface Table {
  cosines: number[][];
  sines: number[][];
}

interface Reference {
  layers: (number | null)[];
  tables: Table[];
}

const LONGEST = 32_768;
/** As many layers have each kind that a published model has. */
const LAYERS = 6;
const byLayer = ['layer_types', 'no_rope_layers'];
/** Sizes of a few layers, which must fit those below where a config has them. */
const optionalFields = {
  num_global_key_value_heads: 1,
  num_kv_shared_layers: 0,
  hidden_size_per_layer_input: 0,
  // JSON of JavaScript writes 30.0 as 30, which transformers refuses.
  final_logit_softcapping: null,
  swiglu_limit: 7.5,
};

/** Every published decoder with a scaling or with layers that are not rotated, as narrow as its heads. */
function narrowed(): [string, Config][] {
  const folder = join(import.meta.dirname, '../published-configs');
  const all = readdirSync(folder).flatMap((file) => {
    const models: Record<string, { config: Config & { text_config?: Config }; refused?: string }> =
      JSON.parse(readFileSync(join(folder, file), 'utf8'));
    return Object.entries(models)
      .filter(([, { refused }]) => !refused)
      .map(([name, { config }]) => [name, config.text_config ?? config] as [string, Config]);
  });
  return all
    .filter(([, { model_type }]) => modelTypes.includes(model_type))
    .filter(([, config]) => config.rope_scaling || config.rope_parameters || config.no_rope_layers)
    .map(([name, config]) => [name, withOneHead(config)]);
}

function withOneHead(config: Config): Config {
  const size = outlineOf(config).headSize;
  const cut = byLayer.flatMap((field) => {
    const entries = config[field];
    return Array.isArray(entries) ? [[field, entries.slice(-LAYERS)]] : [];
  });
  return {
    ...config,
    ...Object.fromEntries(cut),
    ...Object.fromEntries(Object.entries(optionalFields).filter(([field]) => config[field] != null)),
    num_hidden_layers: LAYERS,
    hidden_size: size,
    head_dim: size,
    num_attention_heads: 1,
    num_key_value_heads: 1,
    intermediate_size: 8,
    vocab_size: 8,
    pad_token_id: 0,
  };
}

const models = narrowed();
// A scaling of which no published model here is an example alone.
const llama: Config = { ...withOneHead({ ...models[0]![1], model_type: 'llama', rope_scaling: null }) };
models.push([
  'linear scaling',
  { ...llama, rope_parameters: { rope_type: 'linear', rope_theta: 10_000, factor: 8 } },
]);
// Short sequences first; a model with two sets of frequencies uses the second in the last one.
const positions = [
  Array.from({ length: 64 }, (_, i) => 61 * i),
  Array.from({ length: 257 }, (_, i) => Math.floor((i * (LONGEST - 1)) / 256)),
];
const references = await runPythonJson<Reference>('rope_tables.py', [], {
  configs: models.map(([, config]) => config),
  positions,
});

/** That of each sequence, with the frequencies that its length asks for. */
function tablesOf({ ropes }: DecoderOutline): Table[] {
  return ropes.map(({ inverseFrequencies, attentionFactor, long }) => {
    const rotations = positions.map((each) => {
      const isLong = long !== undefined && each.at(-1)! >= long.over;
      const frequencies = isLong ? long.inverseFrequencies : inverseFrequencies;
      return rotationOf(tf.tensor1d(each, 'int32'), frequencies, attentionFactor);
    });
    return {
      cosines: rotations.map(({ cosines }) => [...cosines.dataSync()]),
      sines: rotations.map(({ sines }) => [...sines.dataSync()]),
    };
  });
}

/**
 * An angle is a float32 of up to 32,767, whose last bit is 2⁻⁹, and transformers computes powers in float32 where Graft rounds those of
 * float64: so angles of the largest positions may differ by two of these bits.
 */
const TOLERANCE = 2 ** -8;

for (const [i, [name, config]] of models.entries()) {
  test(`${name}: positions to ${LONGEST - 1} have the angles of transformers`, () => {
    const outline = outlineOf(config) as DecoderOutline;
    const { layers, tables } = references[i]!;
    const own = tablesOf(outline);
    for (const [layer, of] of layers.entries()) {
      const rope = outline.rope(layer);
      assert.equal(rope === null, of === null, `layer ${layer}`);
      if (rope === null || of === null) continue;
      for (const part of ['cosines', 'sines'] as const)
        for (const [sequence, expected] of tables[of]![part].entries())
          assert.ok(
            largest(expected, own[rope]![part][sequence]!) < TOLERANCE,
            `layer ${layer}: ${part} of sequence ${sequence}`,
          );
    }
  });
}

function largest(expected: number[], found: number[]): number {
  assert.equal(found.length, expected.length);
  return Math.max(...expected.map((value, i) => Math.abs(value - found[i]!)));
}
