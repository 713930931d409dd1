import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultPeft } from '../tuners/methods.ts';
import { choosePeft, peftReasons, peftWarnings } from './choose-peft.ts';
import { parsePeftConfig } from './peft-config.ts';
import { parseSweep, trialsOf } from './sweep.ts';

const lora = (options: object = {}) => ({ peft_type: 'LORA', ...options });
const sizes = (given: object, maxRank?: number) => {
  const { r, lora_alpha, target_modules } = parsePeftConfig(
    choosePeft(given, { maxRank }),
  ) as unknown as Record<string, unknown>;
  return [r, lora_alpha, target_modules];
};

describe('what Graft chooses of peft', () => {
  test('a method alone, or with its form, trains what Graft has found best', () => {
    assert.deepEqual(parsePeftConfig(choosePeft(lora())), parsePeftConfig(defaultPeft));
    const cases: [object, unknown[]][] = [
      [lora({ inference_mode: false, task_type: 'CAUSAL_LM' }), [16, 64, 'all-linear']],
      [lora({ use_dora: true }), [16, 64, 'all-linear']],
      // The scale of rsLoRA is lora_alpha / √r: four, as without it.
      [lora({ use_rslora: true }), [16, 16, 'all-linear']],
      [lora({ task_type: 'SEQ_CLS' }), [8, 16, 'all-linear']],
    ];
    for (const [given, wanted] of cases) assert.deepEqual(sizes(given), wanted, JSON.stringify(given));
    assert.deepEqual(sizes(lora(), 4), [4, 64, 'all-linear']);
    const prompt = parsePeftConfig(choosePeft({ peft_type: 'PROMPT_TUNING' }));
    assert.equal('num_virtual_tokens' in prompt && prompt.num_virtual_tokens, 20);
    const rank = (given: object, maxRank?: number) =>
      (parsePeftConfig(choosePeft(given, { maxRank })) as { r?: number }).r;
    assert.deepEqual([rank({ peft_type: 'MISS' }), rank({ peft_type: 'MISS' }, 20)], [64, 20]);
    const nothing = { peft_type: 'TRAINABLE_TOKENS' };
    assert.equal(choosePeft(nothing), nothing, 'no tokens suit every model');
  });

  test('of a part of a config the rest is as in HF PEFT, but for what is "auto"', () => {
    assert.deepEqual(sizes(lora({ r: 32 })), [32, 8, null]);
    const auto = { lora_alpha: 'auto', target_modules: 'auto' };
    assert.deepEqual(sizes(lora({ r: 32, ...auto })), [32, 64, 'all-linear']);
    assert.deepEqual(sizes(lora({ r: 64, use_rslora: true, ...auto })), [64, 8, 'all-linear']);
    assert.deepEqual(sizes(lora({ r: 'auto', lora_alpha: 4 })), [16, 4, null]);
    const wrong = lora({ r: 'many', lora_alpha: 'auto' });
    assert.throws(() => parsePeftConfig(choosePeft(wrong)), { param: 'peft.r' });
    assert.throws(() => parsePeftConfig(choosePeft(lora({ lora_dropout: 'auto' }))), {
      param: 'peft.lora_dropout',
    });
    for (const other of [null, 7, [], { peft_type: 'NONE' }]) assert.equal(choosePeft(other), other);
  });

  test('experts and routers are left out, unless a request chooses the modules', () => {
    const parameters = (given: object) => {
      const peft = parsePeftConfig(choosePeft(given));
      return 'target_parameters' in peft ? peft.target_parameters : undefined;
    };
    for (const given of [defaultPeft, lora(), lora({ use_rslora: true }), lora({ target_modules: 'auto' })])
      assert.deepEqual(parameters(given), [], JSON.stringify(given));
    for (const given of [lora({ target_modules: 'all-linear' }), lora({ r: 'auto' }), lora({ r: 4 })])
      assert.equal(parameters(given), null, JSON.stringify(given));
    const named = ['experts.down_proj'];
    assert.deepEqual(parameters(lora({ target_modules: 'auto', target_parameters: named })), named);
  });

  test('trials of a sweep are chosen the same way', () => {
    const trials = (sweep: object, peft?: unknown) =>
      trialsOf(parseSweep(sweep)!, { peft, training: {}, hyperparameters: {}, startPeft: null }).map(
        ({ peft }) => 'lora_alpha' in peft && [peft.r, peft.lora_alpha, peft.target_modules],
      );
    const whole = (r: number, alpha = 64) => [r, alpha, 'all-linear'];
    assert.deepEqual(trials({ r: [4, 64] }, lora()), [whole(4), whole(64)]);
    assert.deepEqual(trials({ r: [4, 64] }, lora({ use_rslora: true })), [whole(4, 32), whole(64, 8)]);
    assert.deepEqual(trials({ r: [4, 64] }, lora({ r: 'auto', lora_alpha: 'auto' })), [
      [4, 64, null],
      [64, 64, null],
    ]);
    const types = { peft_type: ['LORA', 'IA3'] };
    assert.deepEqual(trials(types, { peft_type: 'IA3', task_type: 'SEQ_CLS' }), [whole(8, 16), false]);
  });
});

test('a costly omission gives a warning, and a reason beside the value', () => {
  const warned = (given: unknown) => peftWarnings(given).map(({ param }) => param);
  assert.deepEqual(warned(lora({ r: 32 })), ['peft.lora_alpha', 'peft.target_modules']);
  assert.deepEqual(warned(lora({ r: 32, lora_alpha: 8 })), ['peft.target_modules']);
  assert.deepEqual(warned(lora({ r: 32, lora_alpha: 'auto', target_modules: ['q_proj'] })), []);
  for (const given of [undefined, lora(), { peft_type: 'IA3', feedforward_modules: [] }])
    assert.deepEqual(warned(given), []);
  const [alpha] = peftWarnings(lora({ r: 32 }));
  assert.match(alpha!.message, /lora_alpha is left out: it is 8, .*64 learns more .*"auto"/);

  const reasons = (given: object, known?: object) =>
    peftReasons(parsePeftConfig(choosePeft(given)), known ?? given);
  assert.deepEqual(reasons(lora({ r: 32 })), {
    lora_alpha: 'as HF PEFT does where it is left out; 64 learns more',
    target_modules: 'as HF PEFT does where it is left out; "all-linear" learns more',
  });
  assert.deepEqual(Object.keys(reasons(lora({ lora_alpha: 8, target_modules: 'all-linear' }))), []);
  assert.deepEqual(reasons(lora()), {});
});
