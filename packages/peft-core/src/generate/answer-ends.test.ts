/** Tests where answers end, with a base model that generates a chat template's end of turn, and whose files name another end token. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { parsePeftConfig } from '../config/index.ts';
import { mergeAdapter } from '../exports/merge-adapter.ts';
import { openBaseModel, writeAdapter } from '../files.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { fileTensorsFor } from '../tuners/check.ts';
import { type GenerateRequest, openGenerator } from './generator.ts';
import type { GenerateResult } from './sequence.ts';
import { chainTokens, writeChainModel } from './testing/chain-model.ts';

const { eos, turnEnd } = chainTokens;
const code = (letter: string) => letter.codePointAt(0)!;
/** Tokens after the space that ends the generation prompt: "ok", the end of the turn, more text, and the end of the text. */
const chain = [code(' '), code('o'), code('k'), turnEnd, code('x'), code('y'), eos];

async function answers(folder: string, requests: GenerateRequest[]) {
  const base = await openBaseModel(folder);
  const generator = await openGenerator({ base, context: 64 });
  const said: { text: string; result: GenerateResult }[] = [];
  try {
    for (const request of requests) {
      const pieces = generator.generate({ max_tokens: 16, ...request });
      let text = '';
      for (;;) {
        const next = await pieces.next();
        if (next.done) {
          said.push({ text, result: next.value });
          break;
        }
        text += next.value.text;
      }
    }
  } finally {
    await generator.close();
    await base.close();
  }
  return said;
}

test('an answer to a conversation ends where its turn does, one to a text where the text does', async () => {
  const at = tempFolder();
  await writeChainModel(at('model'), chain);
  const chat = { messages: [{ role: 'user', content: 'Hi' }] };
  const [toChat, toText] = await answers(at('model'), [chat, { prompt: 'Hi ' }]);
  assert.deepEqual([toChat!.text, toChat!.result.finishReason], ['ok', 'stop']);
  assert.equal(toChat!.result.completionTokens, 2);
  // In a text, the end of a turn is an ordinary token, which is not shown because it is special.
  assert.deepEqual([toText!.text, toText!.result.finishReason], ['okxy', 'stop']);
  assert.equal(toText!.result.completionTokens, 5);
});

test('merging writes the end of a turn into generation_config.json, and leaves one that has it as it is', async () => {
  const at = tempFolder();
  await writeChainModel(at('base'), chain, { temperature: 0.5 });
  await writeTinyModel(at('ends with its turns'));
  const written: Record<string, unknown> = {};
  for (const name of ['base', 'ends with its turns']) {
    const base = await openBaseModel(at(name));
    const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: ['q_proj'] });
    const tensors = new Map(
      fileTensorsFor(peft, base.config).map(({ key, shape }) => [
        key,
        { shape, data: new Float32Array(shape.reduce((size, n) => size * n, 1)) },
      ]),
    );
    const adapterDir = at(`${name} adapter`);
    await writeAdapter(adapterDir, { peft, baseModelNameOrPath: 'tiny', tensors });
    const outputDir = at(`${name} merged`);
    await mergeAdapter({ base, adapterDir, outputDir });
    await base.close();
    written[name] = JSON.parse(await readFile(path.join(outputDir, 'generation_config.json'), 'utf8'));
  }
  assert.deepEqual(written, {
    base: { eos_token_id: [eos, turnEnd], temperature: 0.5 },
    'ends with its turns': { eos_token_id: [eos] },
  });
  // Now a text that would continue past the turn ends there too, as in any library.
  const [toText] = await answers(at('base merged'), [{ prompt: 'Hi ' }]);
  assert.equal(toText!.text, 'ok');
});
