/** A GGUF file that Graft wrote is the model that it was written from, when Graft reads it: weights, config.json and tokenizer. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeExport } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { loadTokenizer } from '@graft/peft-core/text';
import type { DecoderOutline } from '../../packages/peft-core/src/outlines/decoder.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { randomModels, writeRandomAdapter, writeRandomModel } from './random-models.ts';

const folder = scratchFolder('gguf-round-trips');

/** Fields on which a forward pass depends beside the weights, with functions as lists. */
function computed(config: Record<string, unknown>) {
  const outline = outlineOf(config, 'CAUSAL_LM') as DecoderOutline;
  const layers = Array.from({ length: outline.layers }, (_, layer) => layer);
  const rounded = (value: number) => Number(value.toPrecision(5));
  const { heads, kvHeads, headSize, hiddenSize, maxPositions, vocabularySize, norms, activation } = outline;
  const rotations = (outline.ropes ?? []).map(({ inverseFrequencies, attentionFactor, long }) => ({
    frequencies: inverseFrequencies.map(rounded),
    attention: rounded(attentionFactor),
    long: long && { over: long.over, frequencies: long.inverseFrequencies.map(rounded) },
  }));
  return {
    sizes: { heads, kvHeads, headSize, hiddenSize, maxPositions, vocabularySize },
    norms,
    activation,
    epsilon: rounded(outline.epsilon),
    factors: outline.factors && Object.values(outline.factors).map(rounded),
    growth: outline.queryGrowth,
    windows: outline.window && layers.map((layer) => outline.window(layer)),
    rotations: outline.rope && layers.map((layer) => rotations[outline.rope(layer) ?? -1] ?? null),
    aliases: Object.keys(outline.aliases),
    parameters: outline.parameters.map(({ shape }) => shape),
  };
}

for (const [name, config] of Object.entries(randomModels))
  test(name, async () => {
    const at = (part: string) => join(folder, name.replaceAll(/\W+/g, '-'), part);
    await writeRandomModel(at('model'), config);
    const peft = { peft_type: 'LN_TUNING', target_modules: [config.model_type === 'gpt2' ? 'ln_f' : 'norm'] };
    await writeRandomAdapter(at('adapter'), { config, peft, deviation: 0 });
    const base = await openBaseModel(at('model'));
    await mkdir(at('gguf'));
    const request = {
      base,
      adapterDir: at('adapter'),
      outputDir: at('gguf'),
      options: { dtype: 'f32' },
      name,
    };
    const { files } = await writeExport('gguf', request);
    const read = await openBaseModel(join(at('gguf'), files[0]!.path));
    try {
      const [before, after] = [computed(config), computed(read.config)];
      // A head that is tied is written apart where llama.cpp needs it.
      if (name.includes('with a tied head')) {
        before.aliases = [];
        before.parameters.push(before.parameters[0]!);
      }
      assert.deepEqual(after, before);
      const trained = outlineOf(config, 'CAUSAL_LM').parameters.find(({ name }) =>
        /\b(model|language_model)\.norm\.|ln_f/.test(name),
      )!;
      for (const tensor of base.tensors.names()) {
        // The text part of a larger model is a separate model. Norms that the adapter replaced are zero.
        const stored = tensor.replace('language_model.', '');
        const values = await read.tensors.readFloat32(stored);
        const expected = tensor.startsWith(trained.name.replace(/\.\w+$/, '.'))
          ? null
          : await base.tensors.readFloat32(tensor);
        const differs = values.findIndex(
          (value, i) => Math.abs(value - (expected ? expected[i]! : 0)) > 1e-6,
        );
        assert.equal(differs, -1, `${tensor} differs at ${differs}`);
      }
      const [own, its] = [loadTokenizer(base.tokenizerFiles), loadTokenizer(read.tokenizerFiles)];
      const text = 'Grün 12 apples.</s>\n  <s>x';
      assert.deepEqual(its.encode(text), own.encode(text));
      assert.equal(its.decode(its.encode(text)), own.decode(own.encode(text)));
      assert.equal(its.chatTemplateSource, own.chatTemplateSource);
      assert.equal(its.eosId, own.eosId);
    } finally {
      await Promise.all([base.close(), read.close()]);
    }
  });
