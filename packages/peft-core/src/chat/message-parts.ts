import type { Message } from './message.ts';
import { splitReasoning } from './tool-styles/thinking.ts';

/** Roles of a token of a conversation: a message, its reasoning, or what the template writes around messages. */
export const PART_ROLES = [
  'template',
  'system',
  'developer',
  'user',
  'assistant',
  'reasoning',
  'tool',
] as const;
export type PartRole = (typeof PART_ROLES)[number];

/** Tokens of a message's content or reasoning; `to` is exclusive. */
export interface MessagePart {
  from: number;
  to: number;
  role: PartRole;
}

interface LocatedTurns {
  text: string;
  /** Where the turn of each trained message starts, and where it ends as far as known. */
  turns: readonly { prompt: number; through: number }[];
  whole: { beginning(end: number): { tokens: number; isExact: boolean } };
}

/** Limit of searched characters, per character of the text: contents that the template rewrites are searched to its end. */
const MAX_SEARCHES = 16;
/** Maximum number of places that are tried for a short content, which may also occur in what the template writes. */
const MAX_PLACES = 20;

/**
 * Finds the tokens of each message's content and reasoning, for reports; in ascending order. Searches the contents in the text one after
 * another: a content that the template rewrites is missing, and a very short one may be found too early. `trained`: the numbers of the
 * messages of `turns`.
 */
export function messageParts(
  { text, turns, whole }: LocatedTurns,
  messages: readonly Message[],
  trained: readonly number[],
): MessagePart[] {
  const parts: MessagePart[] = [];
  let budget = MAX_SEARCHES * text.length;
  let cursor = 0;
  let next = 0;

  /** The place of `part` in [cursor, end), or -1. */
  const find = (part: string, end: number): number => {
    let first = -1;
    for (let tries = 0, from = cursor; tries < MAX_PLACES && budget > 0; tries++) {
      const at = text.indexOf(part, from);
      budget -= (at === -1 ? text.length : at) - from + 1;
      if (at === -1 || at + part.length > end) break;
      if (first === -1) first = at;
      if (isWholeWord(text, at, part.length)) return at;
      from = at + 1;
    }
    return first;
  };
  const add = (content: string, role: PartRole, end: number) => {
    const part = content.trim();
    const at = part === '' ? -1 : find(part, end);
    if (at === -1) return;
    cursor = at + part.length;
    const last = whole.beginning(cursor);
    parts.push({ from: whole.beginning(at).tokens, to: last.tokens + (last.isExact ? 0 : 1), role });
  };

  for (const [i, message] of messages.entries()) {
    const { role } = message;
    const { reasoning, content } = splitReasoning(message);
    const turn = trained[next] === i ? turns[next++] : null;
    if (turn) cursor = Math.max(cursor, turn.prompt);
    const end = turns[next]?.prompt ?? text.length;
    add(reasoning, 'reasoning', end);
    add(content, PART_ROLES.find((each) => each === role) ?? 'template', end);
    if (turn && turn.through < end) cursor = Math.max(cursor, turn.through);
  }
  return parts;
}

/** Returns true unless the part at `at` begins or ends within a word. */
function isWholeWord(text: string, at: number, length: number): boolean {
  const isWord = (i: number) => /[\p{L}\p{N}]/u.test(text[i] ?? '');
  const end = at + length;
  return !(isWord(at - 1) && isWord(at)) && !(isWord(end) && isWord(end - 1));
}
