// Compares the report for a planned job with what the job's own reading of the file trains on.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { parsePeftConfig, parseTrainingOptions, resolveTraining } from '../../config/index.ts';
import { GraftError } from '../../errors.ts';
import { outlineOf } from '../../outlines/index.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { loadTokenizerWith } from '../../text/index.ts';
import { readingOptions } from '../example-source.ts';
import { readExamples } from '../read-examples.ts';
import { NO_TARGET, type TrainingExample } from '../training-example.ts';
import { createExampleReporter, type ExampleReport } from './report-examples.ts';

const at = tempFolder();
await writeTinyModel(at('model'));
const readJson = (name: string) => JSON.parse(readFileSync(at('model', name), 'utf8'));
const config = readJson('config.json');

/** Shows the reasoning of all turns, or, with `brief`, only that of the last; `greeting` begins the text. */
const template =
  "{{ greeting | default('hello') }} {% for m in messages %}{{ m.role }}: {% if m.reasoning_content and (not brief or loop.last) %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

const method = 'supervised';
const chats = [
  {
    messages: [
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'a', reasoning_content: 'because it is so' },
      { role: 'user', content: 'two' },
      { role: 'assistant', content: 'bcd', reasoning_content: 'since' },
    ],
  },
  {
    messages: [
      { role: 'user', content: 'long '.repeat(12) },
      { role: 'assistant', content: 'answer '.repeat(9) },
    ],
  },
  {
    weight: 0,
    messages: [
      { role: 'user', content: 'no' },
      { role: 'assistant', content: 'no' },
    ],
  },
  {
    messages: [
      { role: 'user', content: 'x </s>' },
      { role: 'assistant', content: 'y' },
    ],
  },
];
const texts = [{ text: 'word '.repeat(40) }, { text: 'short' }];

/** Both readings of the lines for a job with these options. */
async function both(
  lines: readonly object[],
  options: Record<string, unknown>,
  { peft = { peft_type: 'LORA' }, templateSteps }: { peft?: object; templateSteps?: number } = {},
) {
  const outline = outlineOf(config);
  const parsed = parsePeftConfig(peft);
  const training = resolveTraining({
    peft: parsed,
    training: parseTrainingOptions(options),
    method,
    exampleCount: lines.length,
    format: 'messages' in lines[0]! ? 'chat' : 'text',
    contextLength: outline.maxPositions,
    model: outline,
  });
  const files = {
    tokenizerJson: readJson('tokenizer.json'),
    tokenizerConfig: readJson('tokenizer_config.json'),
    chatTemplate: null,
  };
  const content = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  await writeFile(at('train.jsonl'), content);
  const job = { peft: parsed, method, ...readingOptions(training) };
  const tokenizer = () => loadTokenizerWith(files, training.chat_template ?? null);

  const examples: TrainingExample[] = [];
  const read = await readExamples(
    {
      ...job,
      tokenizer: tokenizer(),
      modelConfig: config,
      trainingFile: at('train.jsonl'),
      ...(templateSteps === undefined ? {} : { templateSteps }),
    },
    { onExample: (example) => examples.push(example) },
  ).catch((error: unknown) => {
    if (error instanceof GraftError) return error;
    throw error;
  });
  const reported = tokenizer();
  const reporter = createExampleReporter(
    { tokenizer: reported, config, maxSeqLength: null, job },
    job.columns ?? null,
    { bytes: content.length, ...(templateSteps === undefined ? {} : { templateSteps }) },
  );
  await reporter.write(Buffer.from(content));
  return { read, examples, report: await reporter.end(), tokenizer: reported };
}

const idsOf = ({ sequences: [sequence] }: TrainingExample) => [...sequence!.ids, sequence!.targets!.at(-1)!];
const learntOf = (examples: readonly TrainingExample[]) =>
  examples
    .flatMap(({ sequences }) => sequences.flatMap(({ targets }) => [...targets!]))
    .filter((target) => target !== NO_TARGET).length;
const shown = ({ tokens }: ExampleReport) =>
  tokens!.preview.map(({ sequences }) =>
    sequences[0]!.tokens
      .map(({ text, learnt }) => (learnt ? `[${text}]` : text))
      .join('')
      .replaceAll('][', ''),
  );

const cases: [name: string, lines: readonly object[], options: Record<string, unknown>, peft?: object][] = [
  ['the defaults', chats, { max_seq_length: 250 }],
  ['a template of the job', chats, { chat_template: template, max_seq_length: 250 }],
  [
    'variables of the template',
    chats,
    {
      chat_template: template,
      chat_template_kwargs: { brief: true, greeting: 'good day' },
      max_seq_length: 250,
    },
  ],
  ['only the last message', chats, { train_on: 'last_assistant', max_seq_length: 250 }],
  ['masked reasoning', chats, { chat_template: template, mask_reasoning: true, max_seq_length: 250 }],
  ['special tokens', chats, { allow_special_tokens: true, max_seq_length: 250 }],
  ['cut examples', chats, { overlong: 'truncate', max_seq_length: 80 }],
  ['skipped examples', chats, { chat_template: template, overlong: 'skip', max_seq_length: 80 }],
  [
    'a soft prompt',
    chats,
    { overlong: 'skip', max_seq_length: 80 },
    { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 30 },
  ],
  ['split texts', texts, { max_seq_length: 32 }],
  ['cut texts', texts, { max_seq_length: 32, overlong: 'truncate' }],
];

describe('a report for a job counts and shows what the job trains on', () => {
  for (const [name, lines, options, peft] of cases)
    test(name, async () => {
      const { read, examples, report, tokenizer } = await both(lines, options, peft ? { peft } : {});
      assert.ok(!(read instanceof GraftError), String(read));
      const { tokens } = report;
      assert.deepEqual(tokens!.counts, read.counts.training_file);
      assert.equal(
        tokens!.total,
        examples.reduce((sum, each) => sum + each.tokens, 0),
      );
      assert.equal(tokens!.learnt, learntOf(examples));
      for (const [i, { sequences }] of tokens!.preview.entries()) {
        const ids = idsOf(examples[i]!);
        assert.deepEqual(
          sequences[0]!.tokens.map(({ id }) => id),
          ids,
        );
        const { targets } = examples[i]!.sequences[0]!;
        assert.deepEqual(
          sequences[0]!.tokens.map(({ learnt }) => learnt),
          ids.map((_, token) => token > 0 && targets![token - 1] !== NO_TARGET),
        );
        assert.equal(sequences[0]!.tokens.map(({ text }) => text).join(''), tokenizer.decode(ids));
      }
    });
});

test('options change what is shown and marked', async () => {
  const of = async (options: Record<string, unknown>) =>
    shown(
      (await both(chats.slice(0, 1), { max_seq_length: 250, chat_template: template, ...options })).report,
    );
  assert.deepEqual(await of({}), [
    'hello user: one</s>assistant: [<think>because it is so</think>a</s>]user: two</s>assistant: [<think>since</think>bcd</s>]',
  ]);
  assert.deepEqual(await of({ train_on: 'last_assistant', mask_reasoning: true }), [
    'hello user: one</s>assistant: <think>because it is so</think>a</s>user: two</s>assistant: <think>since</think>[bcd</s>]',
  ]);
  const { report } = await both(chats.slice(0, 1), {
    max_seq_length: 250,
    chat_template: template,
    chat_template_kwargs: { brief: true, greeting: 'hi' },
  });
  assert.deepEqual(shown(report), [
    'hi user: one</s>assistant: [<think>because it is so</think>a</s>]',
    'hi user: one</s>assistant: a</s>user: two</s>assistant: [<think>since</think>bcd</s>]',
  ]);
  assert.deepEqual(
    report.tokens!.preview.map(({ dropped_reasoning }) => dropped_reasoning),
    [[], [1]],
  );
});

test('lengths are those before examples are cut, skipped or split', async () => {
  const full = (await both(chats, { max_seq_length: 250 })).report.tokens!;
  for (const overlong of ['truncate', 'skip']) {
    const { report } = await both(chats, { max_seq_length: 80, overlong });
    assert.deepEqual(report.tokens!.lengths, full.lengths);
    assert.deepEqual(report.tokens!.longest, full.longest);
    const { tokens } = full.longest[0]!;
    assert.deepEqual(report.tokens!.too_long, { count: 1, listed: [{ line: 2, tokens }] });
  }
  const split = (await both(texts, { max_seq_length: 32 })).report.tokens!;
  assert.equal(split.too_long.count, 1);
  assert.ok(split.counts!.examples > 2);
});

test('lines that the job refuses are bad lines with its messages', async () => {
  const { read, report } = await both(chats, { max_seq_length: 80 });
  assert.ok(read instanceof GraftError);
  const of = (all: readonly { line?: number; message: string }[]) =>
    all.map(({ line, message }) => [line, message]);
  assert.deepEqual(of(report.bad_lines.listed), of(read.details!));
  assert.equal(report.tokens!.counts!.bad_lines, 1);
});

test('a template that takes too many steps ends the report as it ends the job', async () => {
  const slow = `{% for i in range(60000) %}{% endfor %}${template}`;
  const options = { max_seq_length: 250, chat_template: slow };
  const { read } = await both(chats, options);
  assert.ok(!(read instanceof GraftError), String(read));
  const fault = { code: 'chat_template_error', param: 'training.chat_template' };
  const limited = both(chats, options, { templateSteps: 0 });
  await assert.rejects(limited, fault);
});
