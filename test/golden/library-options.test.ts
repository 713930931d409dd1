/** Every method, option and word that HF PEFT and `adapters` know is known to Graft: taken, or refused by its name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError, parsePeftConfig, peftTypes } from '@graft/peft-core/config';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';

interface LibraryOptions {
  methods: Record<string, Record<string, { default?: unknown; words: string[] }>>;
  peft_types: string[];
  task_types: string[];
  presets: string[];
}

const [peft] = await runPythonJson<LibraryOptions>('library_options.py', ['peft']);
const [adapters] = await runPythonJson<LibraryOptions>('library_options.py', ['adapters'], undefined, {
  library: 'adapters',
});
assert.ok(peft && adapters);

/** Fields that a config of the method requires. */
const needed: Record<string, object> = {
  PROMPT_TUNING: { num_virtual_tokens: 4 },
  PREFIX_TUNING: { num_virtual_tokens: 4 },
  P_TUNING: { num_virtual_tokens: 4 },
  TRAINABLE_TOKENS: { token_indices: [1] },
};
/** Fields that a value of an option requires. */
const companions: Record<string, object> = { TEXT: { prompt_tuning_init_text: 'x' } };
/** The libraries' defaults of these are no configuration: one has to choose. */
const undecided = ['num_virtual_tokens', 'token_indices', 'mh_adapter', 'output_adapter'];
/** These have separate tests below. */
const vocabularies = ['peft_type', 'task_type'];

function codeOf(config: object): string | null {
  try {
    parsePeftConfig(config);
    return null;
  } catch (error) {
    if (error instanceof GraftError) return error.code;
    throw error;
  }
}
const known = (peft_type: string, fields: object) => codeOf({ peft_type, ...needed[peft_type], ...fields });

for (const [type, options] of Object.entries({ ...peft.methods, ...adapters.methods })) {
  const own = Object.entries(options).filter(([name]) => !vocabularies.includes(name));
  test(`${type}: every option is accepted, or refused as a known one`, () => {
    for (const [name] of own) {
      // No value of any option: an object that is not empty.
      const code = known(type, { [name]: { '': { nonsense: [null] } } });
      const answers = ['invalid_peft_config', 'unimplemented_peft_option'];
      assert.ok(answers.includes(code ?? ''), `${name}: ${code}`);
    }
  });
  test(`${type}: the library's defaults ask for nothing that is missing`, () => {
    for (const [name, { default: value }] of own)
      if (value !== undefined && !undecided.includes(name))
        assert.equal(known(type, { [name]: value }), null, `${name}: ${JSON.stringify(value)}`);
  });
  test(`${type}: every word of an option is accepted, or refused as a known one`, () => {
    for (const [name, { words }] of own)
      for (const word of words) {
        const value = word.replace(/\[.*\]/, '4');
        const code = known(type, { [name]: value, ...companions[value] });
        assert.ok(code === null || code === 'unimplemented_peft_option', `${name}: ${value}: ${code}`);
      }
  });
}

test('every method of HF PEFT is Graft’s, or refused as one that is known', () => {
  assert.ok(peft.peft_types.length > 40);
  const refused = peft.peft_types.filter((type) => !(peftTypes as string[]).includes(type));
  for (const type of refused) assert.equal(codeOf({ peft_type: type }), 'unimplemented_peft_type', type);
  // All but BOTTLENECK and SELECTIVE are PEFT's.
  assert.equal(peft.peft_types.length - refused.length, peftTypes.length - 2);
});

test('every task of HF PEFT is Graft’s, or refused as one that is known', () => {
  for (const task_type of peft.task_types) {
    const code = known('LORA', { task_type });
    assert.ok(code === null || code === 'unimplemented_peft_option', `${task_type}: ${code}`);
  }
});

test('every preset of a bottleneck adapter is Graft’s, or refused as one that is known', () => {
  assert.ok(adapters.presets.includes('seq_bn'));
  for (const preset of adapters.presets) {
    const code = known('BOTTLENECK', { preset });
    assert.ok(code === null || code === 'unimplemented_peft_option', `${preset}: ${code}`);
  }
});

test('an option that no library has is unknown', () => {
  for (const type of peftTypes) assert.equal(known(type, { no_option: 1 }), 'unknown_peft_option', type);
});
