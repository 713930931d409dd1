import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Message as TrainingMessage } from '../chat/message.ts';
import type { GraftError } from '../errors.ts';
import { smollm2Tokenizer } from '../testing/smollm2-tokenizer.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { RawExample } from './formats/formats.ts';
import { tokenizeExamples } from './tokenize-examples.ts';
import { NO_TARGET } from './training-example.ts';

interface Case {
  template?: string;
  messages: TrainingMessage[];
  text: string;
  prompt: string;
  ids: number[];
  mask: number[];
}

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`./testdata/${name}`, import.meta.url), 'utf8'));
const golden = read('chat-labels.json');
const tiny = (template: string | null, tokens = golden.tokens): Tokenizer =>
  loadTokenizer({
    tokenizerJson: read('../../text/testdata/tiny-tokenizer.json'),
    tokenizerConfig: tokens,
    chatTemplate: template,
  });

const chat = (messages: TrainingMessage[]): RawExample => ({ format: 'chat', line: 1, messages });

/** One line's tokens, including the last, which is only a target, and which of them are trained on. */
function learnt(tokenizer: Tokenizer, line: RawExample) {
  const [example] = tokenizeExamples(tokenizer, [line], { maxSeqLength: 512 });
  const { ids, targets } = example!.sequences[0]!;
  return {
    line: example!.line,
    ids: [...ids, targets!.at(-1)!],
    labelled: [0, ...[...targets!].map((target) => (target === NO_TARGET ? 0 : 1))],
  };
}

function check(tokenizer: Tokenizer, { messages, text, prompt, ids, mask }: Case): void {
  assert.equal(tokenizer.applyChatTemplate(messages), text);
  assert.equal(tokenizer.applyChatTemplate(messages.slice(0, -1), { addGenerationPrompt: true }), prompt);
  const example = learnt(tokenizer, chat(messages));
  // Tokens after the last label are left out.
  const end = mask.lastIndexOf(1) + 1;
  assert.deepEqual(example.ids, ids.slice(0, end));
  assert.deepEqual(example.labelled, mask.slice(0, end));
}

for (const each of golden.cases as Case[]) {
  test(`transformers' tokens and assistant mask: ${each.template}, ${JSON.stringify(each.text)}`, () => {
    check(tiny(golden.templates[each.template as string]), each);
  });
}

test("transformers' tokens and assistant masks with SmolLM2's own tokenizer and template", async () => {
  const tokenizer = await smollm2Tokenizer();
  for (const each of read('smollm2-labels.json').cases as Case[]) check(tokenizer, each);
});

test('special tokens within a turn do not end it', () => {
  const tokenizer = tiny(golden.templates.smollm2);
  const messages: TrainingMessage[] = [
    { role: 'user', content: 'x<|im_end|>' },
    { role: 'assistant', content: 'a<|im_end|>b' },
  ];
  const { ids, labelled } = learnt(tokenizer, chat(messages));
  assert.equal(tokenizer.decode(ids.filter((_, t) => labelled[t] === 1)), 'a<|im_end|>b<|im_end|>');
});

test('a turn that the template opens without a generation prompt is trained on with its header', () => {
  const template =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + ': ' + m.content + '<|im_end|>' }}{% endfor %}";
  const tokenizer = tiny(template);
  const messages: TrainingMessage[] = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: 'y' },
    { role: 'user', content: 'z' },
  ];
  const { ids, labelled } = learnt(tokenizer, chat(messages));
  assert.equal(
    tokenizer.decode(ids.filter((_, t) => labelled[t] === 1)),
    '<|im_start|>assistant: y<|im_end|>',
  );
});

test('prompt and completion: the completion and eos are targets, the prompt is as at inference', () => {
  const tokenizer = tiny(null);
  const example = learnt(tokenizer, {
    format: 'prompt_completion',
    line: 7,
    prompt: 'The courier',
    completion: ' left.',
  });
  const prompt = tokenizer.encode('The courier');
  const completion = tokenizer.encode(' left.', { addSpecialTokens: false });
  assert.deepEqual(example.ids, [...prompt, ...completion, tokenizer.eosId]);
  assert.deepEqual(example.labelled, [...prompt.map(() => 0), ...completion.map(() => 1), 1]);
  assert.equal(example.line, 7);
});

test('a completion that would merge with the end of its prompt is tokenised apart', () => {
  const tokenizer = tiny(null);
  const prompt = tokenizer.encode('The cour');
  assert.notDeepEqual(tokenizer.encode('The courier').slice(0, prompt.length), prompt);
  const example = learnt(tokenizer, {
    format: 'prompt_completion',
    line: 1,
    prompt: 'The cour',
    completion: 'ier',
  });
  assert.deepEqual(example.ids.slice(0, prompt.length), prompt);
  assert.equal(example.labelled.indexOf(1), prompt.length);
});

test('text: everything after the first token, and eos', () => {
  const tokenizer = tiny(null);
  const example = learnt(tokenizer, { format: 'text', line: 1, text: 'A bent wheel' });
  const ids = tokenizer.encode('A bent wheel');
  assert.deepEqual(example.ids, [...ids, tokenizer.eosId]);
  assert.deepEqual(example.labelled, [0, ...ids.map(() => 1)]);
});

test('too long and empty examples are errors, all of them at once', () => {
  const tokenizer = tiny(null, { ...golden.tokens, eos_token: undefined });
  const text = (line: number, words: string): RawExample => ({ format: 'text', line, text: words });
  assert.throws(
    () =>
      tokenizeExamples(tokenizer, [text(1, 'A wheel '.repeat(40)), text(2, 'fine words'), text(5, 'a')], {
        maxSeqLength: 16,
      }),
    (error: GraftError) => {
      assert.equal(error.code, 'example_too_long');
      assert.deepEqual(
        error.details?.map(({ line }) => line),
        [1, 5],
      );
      assert.match(error.details?.[0]?.message ?? '', /has \d+ tokens; the limit \(max_seq_length\) is 16/);
      return /^has no target tokens: its text has only one token/.test(error.details?.[1]?.message ?? '');
    },
  );
  assert.throws(
    () => tokenizeExamples(tokenizer, [text(3, 'a')], { maxSeqLength: 16 }),
    (error: GraftError) => error.code === 'example_empty',
  );
});

test('an example whose labels are nowhere among its tokens is an error that says why', () => {
  const refused = (tokenizer: Tokenizer, line: RawExample, why: RegExp) =>
    assert.throws(
      () => tokenizeExamples(tokenizer, [line], { maxSeqLength: 64 }),
      (error: GraftError) => error.code === 'example_empty' && why.test(error.message),
    );
  const endless = { ...golden.tokens, eos_token: undefined };
  const silent = { format: 'prompt_completion', line: 7, prompt: 'A bent wheel', completion: '' } as const;
  refused(tiny(null, endless), silent, /line 7 has no target tokens: its completion has no token/);
  const users = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}";
  const messages: TrainingMessage[] = [
    { role: 'user', content: 'A bent' },
    { role: 'assistant', content: 'wheel' },
  ];
  refused(tiny(users, endless), chat(messages), /line 1 has no target tokens: the chat template leaves out/);
});

test('an example of exactly max_seq_length tokens is not too long', () => {
  const tokenizer = tiny(null);
  const example: RawExample = { format: 'text', line: 1, text: 'A bent wheel' };
  const length = tokenizer.encode(example.text).length + 1;
  assert.equal(tokenizeExamples(tokenizer, [example], { maxSeqLength: length }).length, 1);
  assert.throws(() => tokenizeExamples(tokenizer, [example], { maxSeqLength: length - 1 }));
});

test("a template's own refusal is reported with its line", () => {
  const tokenizer = tiny(
    "{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}{{ messages[0].content }}",
  );
  const messages: TrainingMessage[] = [
    { role: 'system', content: 'x' },
    { role: 'assistant', content: 'y' },
  ];
  assert.throws(
    () => tokenizeExamples(tokenizer, [{ format: 'chat', line: 4, messages }], { maxSeqLength: 512 }),
    (error: GraftError) => error.code === 'chat_template_error' && /line 4 .*user first/.test(error.message),
  );
});

test('a model without a chat template and one that rewrites earlier turns are refused', () => {
  const messages: TrainingMessage[] = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: 'y' },
  ];
  const code = (template: string | null) => {
    try {
      tokenizeExamples(tiny(template), [chat(messages)], { maxSeqLength: 512 });
    } catch (error) {
      return (error as GraftError).code;
    }
    assert.fail('was accepted');
  };
  assert.equal(code(null), 'no_chat_template');
  assert.equal(code('{{ messages | length }}{{ messages[-1].content }}'), 'unsupported_chat_template');
});
