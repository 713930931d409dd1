/**
 * Pairs of the bike shop's questions: chosen is the right answer, rejected a wrong one: the right team with the other urgency, or another
 * team. Which one is a function of the question's number, so that the files are the same each time.
 *
 * node --import tsx bench/preferences/bike-shop-pairs.ts    writes examples/bike-shop/pairs.jsonl and heldout-pairs.jsonl
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const teams = ['workshop', 'sales', 'rental', 'billing', 'delivery'];
const folder = join(import.meta.dirname, '../../examples/bike-shop');

interface Chat {
  messages: { role: string; content: string }[];
}

function pairOf({ messages }: Chat, i: number) {
  const answer = messages.at(-1)!.content;
  const [team, urgency] = answer.split('/') as [string, string];
  const others = teams.filter((each) => each !== team);
  const wrong =
    i % 2 === 0
      ? `${team}/${urgency === 'urgent' ? 'normal' : 'urgent'}`
      : `${others[(i >> 1) % 4]}/${urgency}`;
  const assistant = (content: string) => [{ role: 'assistant', content }];
  return { prompt: messages.slice(0, -1), chosen: assistant(answer), rejected: assistant(wrong) };
}

for (const [from, to] of [
  ['train.jsonl', 'pairs.jsonl'],
  ['heldout.jsonl', 'heldout-pairs.jsonl'],
] as const) {
  const lines = (await readFile(join(folder, from), 'utf8')).trim().split('\n');
  const pairs = lines.map((line, i) => JSON.stringify(pairOf(JSON.parse(line), i)));
  await writeFile(join(folder, to), `${pairs.join('\n')}\n`);
}
