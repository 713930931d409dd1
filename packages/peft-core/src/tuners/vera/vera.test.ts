/** Tests of what VeRA refuses and exports; the golden matrix compares it with HF PEFT, and shared-projections.test.ts its projections with PyTorch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig } from '../../config/index.ts';
import type { GraftError } from '../../errors.ts';
import { exportFormat } from '../../exports/formats.ts';
import { architectureFor } from '../../models/registry.ts';
import { adapterFaults } from '../../peft-model/adapter-values.ts';
import { Random } from '../../random.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import { checkAgainstModel, fileTensorsFor } from '../check.ts';
import { MODEL_PREFIX } from '../file-tensors.ts';
import { lowRankProduct } from '../matrices/merged-products.ts';
import { methodOf, type PeftConfig } from '../methods.ts';
import { attach, keysOf } from '../registry.ts';
import { constantParameters, trainedParameters } from '../trained-parameters.ts';
import { drawProjections } from './projections.ts';

const vera = { peft_type: 'VERA', r: 24, target_modules: ['q_proj', 'down_proj'] };

function refused(
  what: string,
  options: Record<string, unknown>,
  [code, param, message]: [code: string, param: string, message: RegExp],
  model: Record<string, unknown> = tinyConfig,
): void {
  test(`refuses ${what}`, () => {
    assert.throws(
      () => checkAgainstModel(parsePeftConfig({ ...vera, ...options }), model),
      (error: GraftError) => {
        assert.deepEqual([error.code, error.param], [code, `peft.${param}`]);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

const invalid = 'invalid_peft_config';
refused('embeddings', { target_modules: ['embed_tokens'] }, [
  invalid,
  'target_modules',
  /adapts linear layers/,
]);
refused('a start from which nothing is trained', { d_initial: 0 }, [invalid, 'd_initial', /must not be 0/]);
refused('a start that is not used', { d_initial: 0.2, init_weights: false }, [
  invalid,
  'd_initial',
  /no effect with init_weights false/,
]);
refused('a key that is no whole number', { projection_prng_key: 0.5 }, [
  invalid,
  'projection_prng_key',
  /integer/,
]);
refused('a key beyond 53 bits', { projection_prng_key: 2 ** 53 }, [
  invalid,
  'projection_prng_key',
  /9007199254740991/,
]);
refused(
  'modules that are trained in full anyway',
  { target_modules: ['q_proj'], modules_to_save: ['self_attn'] },
  ['target_modules_not_found', 'target_modules', /modules_to_save/],
);
refused('exclude_modules, which HF PEFT lacks', { exclude_modules: ['q_proj'] }, [
  'unknown_peft_option',
  'exclude_modules',
  /exclude_modules/,
]);

/** An adapter's file with drawn numbers. */
function drawnFile(config: PeftConfig, model: Record<string, unknown>) {
  const random = new Random(1, 'test');
  return new Map(
    fileTensorsFor(config, model)!.map(({ key, shape }) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
      return [key, { shape, data: data.map(() => random.normal()) }];
    }),
  );
}

for (const [name, model, modules] of [
  ['llama', tinyConfig, ['q_proj', 'down_proj']],
  ['gpt2, whose layers store (in, out)', tinyFamilies.gpt2, ['c_attn', 'mlp.c_proj']],
] as const)
  for (const save_projection of [true, false])
    test(`${name}, save_projection ${save_projection}: its low-rank updates are what is merged`, () => {
      const config = parsePeftConfig({ ...vera, target_modules: [...modules], save_projection });
      const architecture = architectureFor(String(model.model_type ?? 'llama'), model, 'CAUSAL_LM');
      const files = drawnFile(config, model);
      const { merges } = attach(config, architecture, 'folded');
      const keyOf = keysOf(config);
      const { updates, others, factors } = methodOf(config).lowRank!(config, architecture);
      assert.deepEqual(others, []);
      assert.equal(updates.length, merges!.size);
      for (const { module, a, b, width, out } of updates) {
        const { transposed = false } = architecture.modules.find((each) => each.name === module)!;
        const own = factors!(files);
        assert.deepEqual(
          [own.get(a)!.shape, own.get(b)!.shape],
          [
            [24, width],
            [out, 24],
          ],
        );
        const product = lowRankProduct(own.get(b)!.data, own.get(a)!.data, { width, out, transposed });
        const weight = new Float32Array(width * out);
        const merged = merges!.get(`${module}.weight`)!(weight, (key) => files.get(keyOf(key))!.data);
        assert.ok(product.some((value) => value !== 0));
        assert.deepEqual(merged, product);
      }
    });

test('the projections are constants, in the files as far as they are saved', () => {
  const outline = architectureFor('llama', tinyConfig, 'CAUSAL_LM');
  const keys = (save_projection: boolean) =>
    fileTensorsFor(parsePeftConfig({ ...vera, save_projection }), tinyConfig)!.map(({ key }) => key);
  assert.deepEqual(keys(true).slice(-2), ['base_model.vera_A', 'base_model.vera_B']);
  assert.deepEqual(keys(false), keys(true).slice(0, -2));
  assert.ok(keys(false).every((key) => key.startsWith(MODEL_PREFIX)));
  for (const save_projection of [true, false]) {
    const config = parsePeftConfig({ ...vera, save_projection });
    const { parameters } = attach(config, outline, 'trained');
    const [a, b] = parameters.slice(-2);
    const widest = (side: 'in' | 'out') =>
      Math.max(...outline.modules.flatMap((m) => (/(q|down)_proj$/.test(m.name) ? [m[side]!] : [])));
    assert.deepEqual(
      [a!.shape, b!.shape],
      [
        [24, widest('in')],
        [widest('out'), 24],
      ],
    );
    assert.equal(constantParameters(config, outline), 24 * (widest('in') + widest('out')));
    const vectors = parameters.slice(0, -2).flatMap(({ shape }) => shape);
    assert.equal(
      trainedParameters(config, outline),
      vectors.reduce((sum, length) => sum + length, 0),
    );
    const drawn = drawProjections(0, { rank: 24, width: widest('in'), out: widest('out') });
    assert.ok(a!.init.kind === 'draw');
    assert.deepEqual(a!.init.draw(new Random(5, 'test')), drawn.a, 'from the key, not from the seed');
  }
});

test('files lack projections that their config promises, or have others', () => {
  const config = parsePeftConfig(vera);
  const outline = architectureFor('llama', tinyConfig, 'CAUSAL_LM');
  const { parameters } = attach(config, outline, 'folded');
  const files = drawnFile(config, tinyConfig);
  assert.deepEqual(adapterFaults(config, parameters, files), []);
  const without = parsePeftConfig({ ...vera, save_projection: false });
  const unsaved = attach(without, outline, 'folded').parameters;
  assert.match(adapterFaults(without, unsaved, files).join(), /base_model\.vera_A is not known/);
  files.get('base_model.vera_B')!.shape = [1, 1];
  files.delete('base_model.vera_A');
  const faults = adapterFaults(config, parameters, files).join();
  assert.match(faults, /base_model\.vera_A is missing/);
  assert.match(faults, /base_model\.vera_B has shape \[1,1\]/);
});

test('pad_rank is for runtimes that load the files', () => {
  const config = parsePeftConfig(vera);
  const adapter = { config, modelConfig: tinyConfig, adapterBytes: 1 } as never;
  const refusal = (format: string, options: object) =>
    exportFormat(format).refusal(adapter, options as never);
  assert.match(refusal('peft', { pad_rank: true })!.message, /vLLM does not load VERA/);
  assert.equal(refusal('peft', { pad_rank: false }), null);
  assert.equal(refusal('mlx', {}), null);
});
