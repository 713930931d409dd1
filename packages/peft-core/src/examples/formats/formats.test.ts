// Properties of all formats of training data. Faults and tokens of each are tested in jsonl.test.ts and tokenize-examples.test.ts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadTokenizer } from '../../text/tokenizer.ts';
import { parseJsonl } from '../jsonl.ts';
import { lengthOf, tokenizeExamples } from '../tokenize-examples.ts';
import { formatOf, formats } from './formats.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'));
const { templates, tokens } = read('examples/testdata/chat-labels.json');
const tokenizer = loadTokenizer({
  tokenizerJson: read('text/testdata/tiny-tokenizer.json'),
  tokenizerConfig: tokens,
  chatTemplate: templates.smollm2,
});

test('names are unique, and each finds its format', () => {
  assert.equal(new Set(formats.map(({ name }) => name)).size, formats.length);
  for (const format of formats) assert.equal(formatOf(format.name), format);
});

for (const format of formats)
  test(`the sample line of ${format.name} is an example of it, which its tasks learn from`, () => {
    const { examples, ...summary } = parseJsonl([format.sample]);
    assert.equal(summary.format, format.name);
    const named = [...format.fields.matchAll(/"(\w+)"/g)].map(([, field]) => field);
    assert.deepEqual(Object.keys(JSON.parse(format.sample)), named, 'the fields that errors name');
    for (const task of format.tasks) {
      const decoderStart = task === 'SEQ_2_SEQ_LM' ? 0 : null;
      const options = { maxSeqLength: 512, decoderStart, classOf: () => 0 };
      const [example] = tokenizeExamples(tokenizer, examples, options);
      assert.equal(example!.line, 1);
      assert.ok(lengthOf(format.name, example!) <= example!.tokens);
      const hasTargets = example!.sequences.every(({ targets }) => targets !== undefined);
      assert.equal(hasTargets, format.targets !== 'none');
    }
    assert.notEqual(format.prompt(examples[0]!), '');
    assert.equal(summary.answerCharacters > 0, format.targets === 'tokens');
  });

test('texts that are compared have a role', () => {
  const lines = ['{"anchor":"a","positive":"b","negative":"c"}'];
  const [pair] = tokenizeExamples(tokenizer, parseJsonl(lines).examples, { maxSeqLength: 64 });
  assert.deepEqual(
    pair!.sequences.map(({ role }) => role),
    ['anchor', 'positive', 'negative'],
  );
});
