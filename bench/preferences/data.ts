import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { readJsonLines } from '../../scripts/sweep/rows/json-lines.ts';

type Message = { role: string; content: string };
export interface Pair {
  prompt: Message[];
  chosen: Message[];
  rejected: Message[];
}

const assistant = (content: string): Message[] => [{ role: 'assistant', content }];

/** The bike shop's pairs: answers of a few tokens under one system prompt. */
export const shortAnswers = async (): Promise<Pair[]> => readJsonLines('examples/bike-shop/pairs.jsonl');

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
  const chats = readJsonLines<{ messages: Message[] }>('bench/training/testdata/instructions.jsonl')
    .map(({ messages }) => ({ prompt: messages.slice(0, -1), answer: messages.at(-1)!.content }))
    .filter(({ prompt }) => prompt.every(({ content }) => lengthOf(content) <= longestPrompt))
    .filter(({ answer }) => lengthOf(answer) >= least && lengthOf(answer) <= most);
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
