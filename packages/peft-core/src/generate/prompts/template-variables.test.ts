/** Template inputs besides the conversation: an adapter's own variables and date, from training to its answers. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { TRAINING_DATE } from '../../chat/assistant-spans.ts';
import type { Message as TrainingMessage } from '../../chat/message.ts';
import { parsePeftConfig, resolveTraining } from '../../config/index.ts';
import { labelledTokens } from '../../examples/formats/chat.ts';
import type { LabelledTokens } from '../../examples/formats/language-example.ts';
import { openBaseModel, readAdapter } from '../../files.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { loadTokenizer } from '../../text/index.ts';
import { train } from '../../train/loop.ts';
import { type GenerateRequest, openGenerator } from '../generator.ts';
import { promptTokens } from './prompt-tokens.ts';

/** Ten tokens for the year of training, a hundred for `think`. */
const template =
  "{% if strftime_now('%Y') == '2024' %}{{ 'in 2024 - ' }}{% endif %}{% if think %}{% for i in range(100) %}t{% endfor %}{% endif %}" +
  "{% for m in messages %}{{ m.role + ': ' + m.content + '</s>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";

test('an adapter answers with the variables and the date that it was trained with', async () => {
  const at = tempFolder();
  await writeTinyModel(at('model'));
  const config = JSON.parse(await readFile(at('model', 'tokenizer_config.json'), 'utf8'));
  await writeFile(
    at('model', 'tokenizer_config.json'),
    JSON.stringify({ ...config, chat_template: template }),
  );
  const line = {
    messages: [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ],
  };
  const trainingFile = at('chats.jsonl');
  await writeFile(trainingFile, `${JSON.stringify(line)}\n`.repeat(2));
  const base = await openBaseModel(at('model'));
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: ['q_proj'] });
  const kwargs: Record<string, object | null> = { plain: null, thinking: { think: true, more: ['"a"', 1] } };
  for (const [name, chat_template_kwargs] of Object.entries(kwargs)) {
    const options = chat_template_kwargs ? { chat_template_kwargs: { ...chat_template_kwargs } } : {};
    const training = resolveTraining({ peft, training: { max_steps: 1, ...options }, exampleCount: 2 });
    const job = { base, baseModelName: 'tiny', trainingFile, peft, training, outputDir: at(name) };
    for await (const _ of train(job));
    assert.deepEqual((await readAdapter(at(name))).templateKwargs, chat_template_kwargs ?? {});
  }
  const generator = await openGenerator({ base, context: 256 });
  const countPrompt = async (request: GenerateRequest) => {
    let tokens = 0;
    const messages = [{ role: 'user', content: 'a' }];
    const onPromptRead = (count: number) => {
      tokens = count;
    };
    for await (const _ of generator.generate({ messages, max_tokens: 1, onPromptRead, ...request }));
    return tokens;
  };
  try {
    const bare = await countPrompt({});
    assert.equal(await countPrompt({ chat_template_kwargs: { think: true } }), bare + 100);
    assert.equal(await countPrompt({ adapter: at('plain') }), bare + 10);
    assert.equal(await countPrompt({ adapter: at('thinking') }), bare + 110);
    // Variables of the request take precedence.
    const request = { adapter: at('thinking'), chat_template_kwargs: { think: false } };
    assert.equal(await countPrompt(request), bare + 10);
  } finally {
    await generator.close();
    await base.close();
  }
});

test('variables in a README that no template could be given are passed over', async () => {
  const at = tempFolder();
  await writeTinyModel(at('model'));
  const trainingFile = at('texts.jsonl');
  await writeFile(trainingFile, '{"text":"a b c"}\n');
  const base = await openBaseModel(at('model'));
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: ['q_proj'] });
  const training = resolveTraining({ peft, training: { max_steps: 1 }, exampleCount: 1 });
  const job = { base, baseModelName: 'tiny', trainingFile, peft, training, outputDir: at('adapter') };
  for await (const _ of train(job));
  await base.close();
  const card = await readFile(at('adapter', 'README.md'), 'utf8');
  assert.doesNotMatch(card, /chat_template_kwargs/);
  for (const [text, expected] of [
    ['{"think": true}', { think: true }],
    ['{"messages": []}', {}],
    ['{"think": tru}', {}],
    ['think', {}],
    [`{"a": "${'x'.repeat(5000)}"}`, {}],
  ] as const) {
    await writeFile(
      at('adapter', 'README.md'),
      card.replace('---\n', `---\nchat_template_kwargs: ${text}\n`),
    );
    assert.deepEqual((await readAdapter(at('adapter'))).templateKwargs, expected, text.slice(0, 40));
  }
});

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'));

test('an adapter reads prompts as in training: with its date and its template variables', () => {
  const chatTemplate =
    "{{ strftime_now('%d %b %Y') }}{% if think is defined and not think %} no thoughts{% endif %}{{ style }}\n" +
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
  const { tokens } = read('examples/testdata/chat-labels.json');
  const tokenizerJson = read('text/testdata/tiny-tokenizer.json');
  const tokenizer = loadTokenizer({ tokenizerJson, tokenizerConfig: tokens, chatTemplate });
  const messages = [{ role: 'user', content: 'x' }] as const;
  const templateKwargs = { think: false, style: ' <|im_end|> of "style"' };
  const line = {
    format: 'chat' as const,
    line: 1,
    messages: [...messages, { role: 'assistant', content: 'y' }] as TrainingMessage[],
  };
  const [{ ids, labelled }] = labelledTokens(tokenizer, line, { templateKwargs }) as [LabelledTokens];
  const learntPrompt = [...ids.subarray(0, labelled.indexOf(1))];
  const rules = { tokenizer, fewestTokens: () => 0, vocabularySize: 1000 };
  const limits = { context: 200, leading: 0 };
  const readBy = (more: object) => {
    const tokens = promptTokens({ messages: [...messages], ...more }, limits, rules);
    return 'ids' in tokens ? [...tokens.ids] : tokens.refusal;
  };
  assert.deepEqual(readBy({ templateKwargs, hasTrainingDate: true }), learntPrompt);
  assert.match(tokenizer.decode(learntPrompt), /^26 Jul 2024 no thoughts <\|im_end\|> of "style"\n/);
  assert.equal(TRAINING_DATE.getFullYear(), 2024);
  // No variable forges a turn.
  const ends = learntPrompt.filter((id) => id === tokenizer.encode('<|im_end|>')[0]);
  assert.equal(ends.length, 1);
  assert.notDeepEqual(readBy({ templateKwargs }), learntPrompt, "the base model reads today's date");
  assert.notDeepEqual(readBy({ hasTrainingDate: true }), learntPrompt);
});
