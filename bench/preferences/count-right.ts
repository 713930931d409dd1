/**
 * Greedy answers of adapters to the bike shop's held-out questions: how many are right, so that what preferences do to answers can be seen.
 *
 * usage: count-right.ts ADAPTER…
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openGenerator } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { packagedModel } from '../../scripts/methods/packaged-model.ts';

const file = join(import.meta.dirname, '../../examples/bike-shop/heldout.jsonl');
interface Message {
  role: string;
  content: string;
}

const questions: Message[][] = (await readFile(file, 'utf8'))
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line).messages);
const base = await openBaseModel(await packagedModel('smollm2'));
const generator = await openGenerator({ base });
try {
  for (const adapter of process.argv.slice(2)) {
    const answers = await Promise.all(questions.map((messages) => answerOf(messages.slice(0, -1), adapter)));
    const right = questions.filter((messages, i) => answers[i] === messages.at(-1)!.content).length;
    console.log(`${adapter}: ${right} of ${questions.length}`);
  }
} finally {
  await generator.close();
  await base.close();
}

async function answerOf(messages: Message[], adapter: string): Promise<string> {
  let text = '';
  for await (const piece of generator.generate({ messages, adapter, max_tokens: 16 })) text += piece.text;
  return text.trim();
}
