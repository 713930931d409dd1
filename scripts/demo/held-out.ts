import { readFile } from 'node:fs/promises';
import type { ChatMessage, GraftClient } from '@graft/client';
import type { Generator } from '@graft/peft-core';
import { bar } from './print.ts';

export interface HeldOutExample {
  /** Request: everything before the answer. */
  messages: ChatMessage[];
  question: string;
  answer: string;
}

/** Reads chat JSONL whose last message is the expected answer. */
export async function readHeldOut(file: string): Promise<HeldOutExample[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const { messages } = JSON.parse(line) as { messages: ChatMessage[] };
    const sent = messages.slice(0, -1);
    return { messages: sent, question: sent.at(-1)!.content, answer: messages.at(-1)!.content.trim() };
  });
}

/** Concurrent questions: the server batches them and answers each as if it were alone. */
const atOnce = 16;

/** The model's answers to every held-out question, greedy, with a bar on a terminal. */
export async function ask(client: GraftClient, model: string, heldOut: HeldOutExample[]): Promise<string[]> {
  const tty = process.stdout.isTTY;
  const texts: string[] = [];
  const waiting = heldOut.entries();
  let answered = 0;
  // The iterator is one: each asker takes the next question.
  const askInTurn = async () => {
    for (const [i, { messages }] of waiting) {
      const reply = await client.chat.completions.create({ model, messages, max_tokens: 16, temperature: 0 });
      texts[i] = (reply.choices[0]!.message.content ?? '').trim();
      answered += 1;
      if (tty) process.stdout.write(`\r   ${bar(answered / heldOut.length)} ${answered}/${heldOut.length} `);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, askInTurn));
  if (tty) process.stdout.write('\n');
  return texts;
}

/** Greedy answers of a generator in this process, at once. */
export const greedyAnswers = (
  generator: Generator,
  requests: readonly Parameters<Generator['generate']>[0][],
): Promise<string[]> =>
  Promise.all(
    requests.map(async (request) => {
      let text = '';
      for await (const piece of generator.generate(request)) text += piece.text;
      return text.trim();
    }),
  );

/** How many answers are, character for character, the expected ones. */
export function exactMatch(examples: Pick<HeldOutExample, 'answer'>[], answers: string[]): number {
  return examples.filter((example, i) => example.answer === answers[i]).length;
}
