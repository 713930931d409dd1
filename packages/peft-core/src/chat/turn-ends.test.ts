import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { smollm2Tokenizer } from '../testing/smollm2-tokenizer.ts';
import { byteTokenizer, tinyTokenizerConfig } from '../testing/tiny-model.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { turnEnds } from './turn-ends.ts';

interface Labels {
  tokens: Record<string, string>;
  templates: Record<string, string>;
  cases: { template: string; ids: number[]; mask: number[] }[];
}

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')) as unknown;
const tokenizerJson = read('text/testdata/tiny-tokenizer.json') as Record<string, unknown>;
const golden = read('examples/testdata/chat-labels.json') as Labels;
const tiny = (chatTemplate: string | null): Tokenizer =>
  loadTokenizer({ tokenizerJson, tokenizerConfig: golden.tokens, chatTemplate });
const idOf = (text: string) => tiny(null).encode(text)[0]!;

/** The last token of every run of ones in transformers' assistant masks: if it is special, it ends a turn. */
function lastLearnt(tokenizer: Tokenizer, cases: Labels['cases']): number[] {
  const last = cases.flatMap(({ ids, mask }) => ids.filter((_, i) => mask[i] === 1 && mask[i + 1] !== 1));
  return [...new Set(last.filter((id) => tokenizer.isSpecial(id)))];
}

for (const [name, template] of Object.entries(golden.templates))
  test(`turns of the template ${name} end with what transformers' assistant masks end with`, () => {
    const tokenizer = tiny(template);
    const cases = golden.cases.filter((each) => each.template === name);
    assert.ok(cases.length > 0);
    assert.deepEqual(turnEnds(tokenizer), lastLearnt(tokenizer, cases));
  });

test("turns of SmolLM2's own template end with what transformers' assistant masks end with", async () => {
  const tokenizer = await smollm2Tokenizer();
  const { cases } = read('examples/testdata/smollm2-labels.json') as Labels;
  assert.deepEqual(turnEnds(tokenizer), lastLearnt(tokenizer, cases));
  assert.deepEqual(turnEnds(tokenizer), tokenizer.encode('<|im_end|>', { addSpecialTokens: false }));
});

test('the tiny model of tests ends its turns with </s>', () => {
  const tokenizerConfig = tinyTokenizerConfig;
  const files = { tokenizerJson: byteTokenizer(), tokenizerConfig, chatTemplate: null };
  assert.deepEqual(turnEnds(loadTokenizer(files)), [257]);
});

/** Template styles in use, with the tiny tokenizer's special tokens. */
const forms: Record<string, { template: string; ends: string[] }> = {
  'a space before the token, as Llama 2': {
    template:
      "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}",
    ends: ['</s>'],
  },
  'a text ends with another token than its turns, as Phi 3': {
    template:
      "{% for m in messages %}{{ '<|head|>' + m.role + '\n' + m.content + '<|eot|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|head|>assistant\n' }}{% else %}{{ eos_token }}{% endif %}",
    ends: ['<|eot|>'],
  },
  'thoughts of earlier turns are left out, as Qwen 3': {
    template:
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    ends: ['<|im_end|>'],
  },
  'the last turn ends in its own way, as gpt-oss': {
    template:
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '<|head|>' + m.content }}{{ '<|eot|>' if loop.last else '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant' }}{% endif %}",
    ends: ['<|eot|>'],
  },
  'no special token after a turn, but one before each': {
    template:
      "{% for m in messages %}{{ '<|head|>' + m.role + ': ' + m.content + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|head|>assistant: ' }}{% endif %}",
    ends: [],
  },
  'a template that refuses the conversation': { template: "{{ raise_exception('no') }}", ends: [] },
};

for (const [name, { template, ends }] of Object.entries(forms))
  test(`turn ends: ${name}`, () => assert.deepEqual(turnEnds(tiny(template)), ends.map(idOf)));

test('a model without a chat template has none', () => assert.deepEqual(turnEnds(tiny(null)), []));
