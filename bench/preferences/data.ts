import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';

type Message = { role: string; content: string };
export interface Pair {
  prompt: Message[];
  chosen: Message[];
  rejected: Message[];
}

const root = join(import.meta.dirname, '../..');
const linesOf = async (file: string) => (await readFile(join(root, file), 'utf8')).trim().split('\n');
const assistant = (content: string): Message[] => [{ role: 'assistant', content }];

/** The bike shop's pairs: answers of a few tokens under one system prompt. */
export async function shortAnswers(): Promise<Pair[]> {
  return (await linesOf('examples/bike-shop/pairs.jsonl')).map((line) => JSON.parse(line));
}

/** What an answer has at least and at most, in tokens, to be among the long ones; and a prompt at most. */
const [least, most, longestPrompt] = [100, 300, 150];

/**
 * Pairs of answers of 100 to 300 tokens to different questions, from the instructions of bench/training. The chosen answer is the one that
 * is there. The rejected one is, in turn, the same answer with its sentences in reverse order, and the answer to the next question.
 */
export async function longAnswers(model: string): Promise<Pair[]> {
  const base = await openBaseModel(model);
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  await base.close();
  const lengthOf = (text: string) => tokenizer.encode(text, { addSpecialTokens: false }).length;
  const chats = (await linesOf('bench/training/testdata/instructions.jsonl'))
    .map((line): Message[] => JSON.parse(line).messages)
    .map((messages) => ({ prompt: messages.slice(0, -1), answer: messages.at(-1)!.content }))
    .filter(({ prompt, answer }) => {
      const length = lengthOf(answer);
      return (
        length >= least && length <= most && prompt.every(({ content }) => lengthOf(content) <= longestPrompt)
      );
    });
  return chats.map(({ prompt, answer }, i) => {
    const other = chats[(i + 1) % chats.length]!.answer;
    return {
      prompt,
      chosen: assistant(answer),
      rejected: assistant(i % 2 === 0 ? inReverse(answer) : other),
    };
  });
}

/** A text's sentences and lines in reverse order. */
const inReverse = (text: string): string =>
  text
    .split(/(?<=[.!?:])\s+|\n+/)
    .toReversed()
    .join(' ');
