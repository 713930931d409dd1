import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parsePeftConfig } from '../config/peft-config.ts';
import type { GraftError } from '../errors.ts';
import { outlineOf } from '../outlines/index.ts';
import type { LoraConfig } from './lora/config.ts';
import { rankAndAlphaFor } from './lora/targets.ts';
import {
  resolveModulesToSave,
  resolveTargetModules,
  type TargetableModule,
  writtenTargets,
} from './target-modules.ts';

interface Case {
  options: Record<string, unknown>;
  /** Module, rank, alpha. */
  adapted?: [string, number, number][];
  saved?: string[];
  error?: string;
}

const golden = JSON.parse(readFileSync(new URL('./testdata/target-modules.json', import.meta.url), 'utf8'));

/** A model with these modules and the defaults of its family. */
const model = (modules = llama(), modelType = 'llama') => ({
  modules,
  modelType,
  defaultTargets: modelType === 'mamba' ? {} : outlineOf({ ...sizes, model_type: modelType }).defaultTargets,
});
const sizes = {
  hidden_size: 8,
  intermediate_size: 8,
  num_attention_heads: 1,
  num_hidden_layers: 1,
  vocab_size: 8,
};

/** The modules of a llama with 12 layers, in the order of its state dict. */
function llama(): TargetableModule[] {
  const linear = (name: string): TargetableModule => ({ name, kind: 'linear' });
  const norm = (name: string): TargetableModule => ({ name, kind: 'norm' });
  const layers = Array.from({ length: 12 }, (_, i) => `model.layers.${i}`).flatMap((layer) => [
    ...['q', 'k', 'v', 'o'].map((each) => linear(`${layer}.self_attn.${each}_proj`)),
    ...['gate', 'up', 'down'].map((each) => linear(`${layer}.mlp.${each}_proj`)),
    norm(`${layer}.input_layernorm`),
    norm(`${layer}.post_attention_layernorm`),
  ]);
  return [
    { name: 'model.embed_tokens', kind: 'embedding' },
    ...layers,
    norm('model.norm'),
    linear('lm_head'),
  ];
}

const parse = (options: object) => parsePeftConfig({ peft_type: 'LORA', ...options }) as LoraConfig;

for (const { options, adapted, saved, error } of golden.cases as Case[]) {
  test(`as HF PEFT: ${JSON.stringify(options)}`, () => {
    const config = parse(options);
    const targets = () => resolveTargetModules(config, model());
    if (error !== undefined) {
      assert.throws(targets, (thrown: GraftError) => thrown.code === 'target_modules_not_found');
      return;
    }
    const found = targets().map((name) => {
      const { rank, alpha } = rankAndAlphaFor(config, name);
      return [name, rank, alpha];
    });
    assert.deepEqual(found, adapted);
    if (saved) assert.deepEqual(resolveModulesToSave(config, llama()), saved);
  });
}

function message(options: object): string {
  try {
    resolveTargetModules(parse(options), model());
  } catch (error) {
    return (error as GraftError).message;
  }
  assert.fail('was accepted');
}

test('a target that matches nothing names the nearest modules', () => {
  assert.match(
    message({ target_modules: ['q_porj'] }),
    /"q_porj" matches no module of this model; nearest: q_proj/,
  );
  assert.match(message({ target_modules: ['attention'] }), /it has embed_tokens, q_proj, k_proj/);
  assert.match(message({ target_modules: '.*\\.qproj' }), /nearest: .*q_proj/);
});

test('a target that is left out by another option says by which', () => {
  assert.match(
    message({ target_modules: ['q_proj'], exclude_modules: ['q_proj'] }),
    /left out by exclude_modules=\["q_proj"\]/,
  );
});

test('modules_to_save that match nothing name the nearest modules', () => {
  assert.throws(
    () => resolveModulesToSave(parse({ modules_to_save: ['lm_haed'] }), llama()),
    (error: GraftError) => error.param === 'peft.modules_to_save' && /nearest: lm_head/.test(error.message),
  );
});

test('modules_to_save that match nothing name modules that hold others, too', () => {
  assert.throws(() => resolveModulesToSave(parse({ modules_to_save: ['mpl'] }), llama()), {
    code: 'target_modules_not_found',
    param: 'peft.modules_to_save',
    message: /"mpl" matches no module of this model; nearest: mlp/,
  });
});

test('modules_to_save take modules that hold others, but no list of them', () => {
  assert.deepEqual(resolveModulesToSave(parse({ modules_to_save: ['3.mlp', '3.mlp.up_proj'] }), llama()), [
    'model.layers.3.mlp',
  ]);
  assert.throws(
    () => resolveModulesToSave(parse({ modules_to_save: ['layers'] }), llama()),
    (error: GraftError) => error.code === 'invalid_peft_config' && /model\.layers/.test(error.message),
  );
});

test('targets are written as names', () => {
  const modules: TargetableModule[] = [...llama(), { name: 'other.q_proj', kind: 'other' }];
  const written = (options: object) => writtenTargets(parse(options), model(modules));
  assert.deepEqual(written({}), ['q_proj', 'v_proj']);
  assert.equal(written({ target_modules: '.*q_proj' }), '.*q_proj');
  // "q_proj" would also match other.q_proj.
  assert.deepEqual(written({ target_modules: 'all-linear' }), [
    'self_attn.q_proj',
    'k_proj',
    'v_proj',
    'o_proj',
    'gate_proj',
    'up_proj',
    'down_proj',
  ]);
  // A short list is written unchanged.
  const few = llama().slice(0, 10);
  assert.deepEqual(
    writtenTargets(parse({ target_modules: 'all-linear' }), model(few)),
    few.filter(({ kind }) => kind === 'linear').map(({ name }) => name),
  );
  assert.deepEqual(writtenTargets(parse({ target_modules: 'all-linear' }), model()), [
    'q_proj',
    'k_proj',
    'v_proj',
    'o_proj',
    'gate_proj',
    'up_proj',
    'down_proj',
  ]);
});

test('null targets need a default for the architecture', () => {
  const config = parse({});
  assert.deepEqual(
    resolveTargetModules(config, model([{ name: 'h.0.attn.c_attn', kind: 'linear' }], 'gpt2')),
    ['h.0.attn.c_attn'],
  );
  assert.throws(
    () => resolveTargetModules(config, model(llama(), 'mamba')),
    (error: GraftError) => error.code === 'target_modules_required',
  );
});

test('a hostile regular expression is matched in linear time', () => {
  const modules: TargetableModule[] = [{ name: 'a'.repeat(5000), kind: 'linear' }];
  const start = performance.now();
  assert.throws(() => resolveTargetModules(parse({ target_modules: '(a+)+b' }), model(modules)));
  assert.ok(performance.now() - start < 500);
});

test('targets of a model with images are written so that they do not reach its other parts', () => {
  const inText = llama().map((each) => ({
    ...each,
    name: each.name.replace(/^model\./, 'model.language_model.'),
  }));
  const written = (options: object) =>
    writtenTargets(parse(options), { ...model(inText), textModule: 'language_model' });
  const inLayer = (layer: number) => `model.language_model.layers.${layer}.self_attn.q_proj`;
  assert.deepEqual(written({ target_modules: ['q_proj'] }), '.*\\blanguage_model\\.(?:.*\\.)?(?:q_proj)');
  assert.deepEqual(written({ target_modules: ['q_proj'], layers_to_transform: [3, 5] }), [
    inLayer(3),
    inLayer(5),
  ]);
  assert.deepEqual(written({ target_modules: '.*\\.[23]\\.self_attn\\.q_proj' }), [inLayer(2), inLayer(3)]);
  const named = '.*language_model.*\\.q_proj';
  assert.deepEqual(written({ target_modules: named }), named);
});
