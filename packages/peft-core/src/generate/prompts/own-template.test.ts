/** An adapter with its own chat template, from training to its answers and to a merged model. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parsePeftConfig, parseTrainingOptions, resolveTraining } from '../../config/index.ts';
import type { GraftError } from '../../errors.ts';
import { mergeAdapter } from '../../exports/merge-adapter.ts';
import { openBaseModel, readAdapter } from '../../files.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { train } from '../../train/loop.ts';
import { type GenerateRequest, openGenerator } from '../generator.ts';

/** Renders fifty tokens more than the model's own. */
const template =
  "{% for i in range(50) %}x{% endfor %}{% for m in messages %}{{ m.role + ': ' + m.content + '</s>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";

const line = {
  messages: [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ],
};
const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: ['q_proj'] });

async function trainWith(at: ReturnType<typeof tempFolder>, name: string, chat_template?: string) {
  const trainingFile = at('chats.jsonl');
  await writeFile(trainingFile, `${JSON.stringify(line)}\n`.repeat(2));
  const base = await openBaseModel(at('model'));
  try {
    const options = chat_template === undefined ? {} : { chat_template };
    const training = resolveTraining({ peft, training: { max_steps: 1, ...options }, exampleCount: 2 });
    const job = { base, baseModelName: 'tiny', trainingFile, peft, training, outputDir: at(name) };
    for await (const _ of train(job));
  } finally {
    await base.close();
  }
}

test('an adapter is trained on, answers and is merged with its own template', async () => {
  const at = tempFolder();
  await writeTinyModel(at('model'));
  await trainWith(at, 'plain');
  await trainWith(at, 'own', template);
  assert.equal((await readAdapter(at('own'))).chatTemplate, template);
  assert.equal(await readFile(at('own', 'chat_template.jinja'), 'utf8'), template);
  assert.equal((await readAdapter(at('plain'))).chatTemplate, null);
  assert.ok(!existsSync(at('plain', 'chat_template.jinja')));

  const base = await openBaseModel(at('model'));
  const generator = await openGenerator({ base, context: 256 });
  const countPrompt = async (request: GenerateRequest) => {
    let tokens = 0;
    const onPromptRead = (count: number) => {
      tokens = count;
    };
    const messages = [{ role: 'user', content: 'a' }];
    for await (const _ of generator.generate({ messages, max_tokens: 1, onPromptRead, ...request }));
    return tokens;
  };
  try {
    const baseTokens = await countPrompt({ adapter: at('plain') });
    const ownTokens = await countPrompt({ adapter: at('own') });
    assert.ok(ownTokens >= baseTokens + 40, `${ownTokens} and ${baseTokens} tokens`);
    // Texts have no template.
    const text = { prompt: 'a', messages: undefined } as unknown as GenerateRequest;
    assert.equal(await countPrompt({ ...text, adapter: at('own') }), await countPrompt(text));
    await mergeAdapter({ base, adapterDir: at('own'), outputDir: at('merged') });
    assert.equal(await readFile(at('merged', 'chat_template.jinja'), 'utf8'), template);
  } finally {
    await generator.close();
    await base.close();
  }
});

test('a template that is no Jinja, has a NUL or is too long names the option', async () => {
  const at = tempFolder();
  await writeTinyModel(at('model'));
  await assert.rejects(trainWith(at, 'broken', '{% for %}'), (error: GraftError) => {
    assert.equal(error.code, 'invalid_chat_template');
    assert.equal(error.param, 'training.chat_template');
    return true;
  });
  const faultOf = (chat_template: unknown) => {
    try {
      parseTrainingOptions({ chat_template });
    } catch (error) {
      return (error as GraftError).message;
    }
    return '';
  };
  assert.match(faultOf('a\0'), /training.chat_template: must have Unicode characters other than NUL/);
  assert.match(faultOf('a'.repeat(32_769)), /training.chat_template/);
  assert.match(faultOf(''), /training.chat_template/);
  assert.equal(faultOf(template), '');
});
