/**
 * Pairs of the bike shop's questions: chosen is the right answer, rejected a wrong one: the right team with the other urgency, or another
 * team. Which one is a function of the question's number, so that the files are the same each time.
 *
 * node --import tsx bench/preferences/bike-shop-pairs.ts    writes examples/bike-shop/pairs.jsonl and heldout-pairs.jsonl
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readJsonLines } from '../../scripts/sweep/rows/json-lines.ts';

const teams = ['workshop', 'sales', 'rental', 'billing', 'delivery'];

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

const folder = 'examples/bike-shop';
for (const [from, to] of Object.entries({ train: 'pairs', heldout: 'heldout-pairs' })) {
  const pairs = readJsonLines<Chat>(`${folder}/${from}.jsonl`).map((chat, i) =>
    JSON.stringify(pairOf(chat, i)),
  );
  await writeFile(join(import.meta.dirname, '../..', folder, `${to}.jsonl`), `${pairs.join('\n')}\n`);
}
