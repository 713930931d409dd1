import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parsePeftConfig, resolveTraining } from '../config/index.ts';
import { type BaseModel, openBaseModel } from '../files.ts';
import { openGenerator, scoreTexts, train } from '../index.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';

let root: string;
/** Its tokenizer has the tokens <pad> and <unk>, 258 and 259, and its table has no rows for them. */
let base: BaseModel;
before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-stray-'));
  await writeTinyModel(path.join(root, 'model'), { vocab_size: 258 });
  base = await openBaseModel(path.join(root, 'model'));
});
after(async () => {
  await base.close();
  await rm(root, { recursive: true });
});

const beyond = /the token "<(pad|unk)>" with id 25[89], which the base model does not know.* 258 rows/;

async function trainOn(lines: object[], options: Record<string, unknown> = {}): Promise<void> {
  const trainingFile = path.join(root, 'train.jsonl');
  await writeFile(trainingFile, lines.map((line) => JSON.stringify(line)).join('\n'));
  const peft = parsePeftConfig({ peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3, ...options });
  const training = resolveTraining({ peft, training: { max_steps: 1 }, exampleCount: lines.length });
  const outputDir = path.join(root, 'adapter');
  for await (const _ of train({ base, baseModelName: 'tiny', trainingFile, peft, training, outputDir }));
}

test('training data with a token beyond the table is refused by line', async () => {
  await assert.rejects(trainOn([{ text: 'fine' }, { text: 'not <pad> fine' }]), {
    code: 'invalid_token_id',
    param: 'training_file',
    message: beyond,
  });
});

test('a soft prompt cannot begin as such a token', async () => {
  const from = (prompt_tuning_init_text: string) =>
    trainOn([{ text: 'fine' }], { prompt_tuning_init: 'TEXT', prompt_tuning_init_text });
  const fault = { code: 'invalid_peft_config', param: 'peft.prompt_tuning_init_text' };
  await assert.rejects(from('good <unk>'), {
    ...fault,
    message: /id 259, which the base model does not know/,
  });
});

test('neither answers nor scores contain such a token', async () => {
  const generator = await openGenerator({ base });
  const answer = async (request: object) => {
    for await (const _ of generator.generate({ max_tokens: 1, ...request }));
  };
  try {
    await assert.rejects(answer({ prompt: 'a <pad>', allow_special_tokens: true }), {
      code: 'invalid_token_id',
      param: 'prompt',
      message: beyond,
    });
    const messages = [{ role: 'user' as const, content: '<unk>' }];
    await assert.rejects(answer({ messages, allow_special_tokens: true }), {
      code: 'invalid_token_id',
      param: 'messages',
      message: beyond,
    });
  } finally {
    await generator.close();
  }
  const scores = scoreTexts({ base, input: [{ text: 'a <pad>' }] });
  await assert.rejects(scores.next(), { code: 'invalid_token_id', message: /input 1.*258/ });
});
