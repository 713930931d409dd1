import { readJsonLines } from './json-lines.ts';

interface Chat {
  messages: { role: string; content: string }[];
}

/** The bench's chats of one question and one answer with this many characters together. */
export function instructions({ least = 0, most }: { least?: number; most: number }): Chat[] {
  const length = ({ messages }: Chat) => messages.reduce((sum, { content }) => sum + content.length, 0);
  return readJsonLines<Chat>('bench/training/testdata/instructions.jsonl').filter(
    (chat) => chat.messages.length === 2 && length(chat) >= least && length(chat) <= most,
  );
}
