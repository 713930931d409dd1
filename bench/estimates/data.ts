import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { shopChats } from '../../scripts/sweep/rows/bike-shop.ts';

type Kind = 'chats' | 'texts' | 'long texts' | 'classes' | 'tags' | 'pairs' | 'translations';

/** A kind of lines, or a few texts with that number of tokens of the byte tokenizer. */
export type DataName = Kind | `${number} tokens`;

const root = path.join(import.meta.dirname, '..', '..');
const lines = 192;
const longLines = 4;

/** Writes lines of this kind, from examples/bike-shop and the words of LICENSE. The result is deterministic. */
export async function writeData(name: DataName, folder: string): Promise<{ file: string; lines: number }> {
  const shop = shopChats()
    .training.slice(0, lines)
    .map(({ messages }) => messages);
  const words = (await readFile(path.join(root, 'LICENSE'), 'utf8')).match(/[a-z]+/g)!;
  const text = (line: number, count: number) =>
    Array.from({ length: count }, (_, i) => words[(line * 37 + i) % words.length]).join(' ');
  const label = (line: number) => shop[line % shop.length]![2]!.content;
  const question = (line: number) => shop[line % shop.length]![1]!.content;
  const make: Record<Kind, (line: number) => object> = {
    chats: (line) => ({ messages: shop[line % shop.length] }),
    texts: (line) => ({ text: text(line, 140 + (line % 7) * 10) }),
    'long texts': (line) => ({ text: text(line, 700 + (line % 7) * 30) }),
    classes: (line) => ({ text: question(line), label: label(line) }),
    tags: (line) => {
      const tokens = question(line).split(' ');
      return { tokens, labels: tokens.map((token) => (/^[A-Z]/.test(token) ? 'capital' : 'small')) };
    },
    pairs: (line) => ({ anchor: question(line), positive: `${label(line)}: ${question(line)}` }),
    translations: (line) => ({ text: question(line), target: `${label(line)} ${text(line, 10)}` }),
  };
  const file = path.join(folder, `${name.replaceAll(' ', '-')}.jsonl`);
  const tokens = /^(\d+) tokens$/.exec(name)?.[1];
  // A byte is a token, and one more is before the text and after it.
  const exactly = (line: number) => ({ text: text(line, Number(tokens)).slice(0, Number(tokens) - 2) });
  const count = tokens === undefined ? lines : longLines;
  const body = Array.from({ length: count }, (_, line) =>
    JSON.stringify(tokens === undefined ? make[name as Kind](line) : exactly(line)),
  );
  await writeFile(file, `${body.join('\n')}\n`);
  return { file, lines: count };
}
