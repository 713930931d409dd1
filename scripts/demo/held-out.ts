import { readFile } from 'node:fs/promises';
import type { ChatMessage } from '@graft/client';

export interface HeldOutExample {
  /** What is sent: everything before the answer. */
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

/** How many answers are, character for character, the expected ones. */
export function exactMatch(examples: HeldOutExample[], answers: string[]): number {
  return examples.filter((example, i) => example.answer === answers[i]).length;
}
