import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonl, tokenizeExamples } from '@graft/peft-core/examples';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { shopChats } from '../../scripts/sweep/rows/bike-shop.ts';

const root = join(import.meta.dirname, '..', '..');
export const demoFile = join(root, 'examples', 'bike-shop', 'train.jsonl');
const licence = async () => await readFile(join(root, 'LICENSE'), 'utf8');

const demoChats = () => shopChats().training.map(({ messages }) => messages);

async function write(file: string, examples: object[]): Promise<string> {
  await writeFile(file, examples.map((example) => `${JSON.stringify(example)}\n`).join(''));
  return file;
}

/** The demo's chats under a system prompt of about 400 tokens. */
export async function longPrompts(file: string): Promise<string> {
  const rules = (await licence()).replaceAll(/\s+/g, ' ').slice(0, 1900);
  const content = `You are the assistant of a bicycle shop. Follow the house rules. ${rules}`;
  const chats = demoChats().map((chat) => chat.filter(({ role }) => role !== 'system'));
  return await write(
    file,
    chats.map((rest) => ({ messages: [{ role: 'system', content }, ...rest] })),
  );
}

/** The demo's messages, each with its answer in this field. */
const withAnswers = (field: string) => (file: string) =>
  write(
    file,
    demoChats().map((chat) => ({ text: chat.at(-2)!.content, [field]: chat.at(-1)!.content })),
  );

/** Answers are classes. */
export const classes = withAnswers('label');

/** Messages are turned into their answers. */
export const rewritten = withAnswers('target');

/** Texts of exactly `tokens` tokens of a model each: words that are one token each, as many as needed. */
export async function textsOf(file: string, model: string, count: number, tokens: number): Promise<string> {
  const base = await openBaseModel(model);
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  await base.close();
  const lengthOf = (text: string) => {
    const { examples } = parseJsonl(Buffer.from(JSON.stringify({ text })));
    return tokenizeExamples(tokenizer, examples, { maxSeqLength: 2 * tokens })[0]!.tokens;
  };
  const words = [...new Set((await licence()).match(/[a-z]{2,}/g))].filter(
    (word) => tokenizer.encode(` ${word}`, { addSpecialTokens: false }).length === 1,
  );
  const texts = Array.from({ length: count }, (_, row) => {
    const wordAt = (i: number) => words[(row * 131 + i * i * 17 + i * 29) % words.length];
    const textOf = (length: number) => ` ${Array.from({ length }, (_, i) => wordAt(i)).join(' ')}`;
    // They include what the dataset reader adds, such as an end mark.
    return textOf(tokens - (lengthOf(textOf(32)) - 32));
  });
  const wrong = texts.map(lengthOf).find((length) => length !== tokens);
  if (wrong !== undefined) throw new Error(`a text has ${wrong} tokens, not ${tokens}`);
  return await write(
    file,
    texts.map((text) => ({ text })),
  );
}
