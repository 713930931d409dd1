import type { Me } from '@graft/client';
import { readStored, removeStored, storageKey, writeStored } from '../../data/browser-storage.ts';
import { type AnswerRequest, answerText, type Kind, newAnswer, type Turn } from './chat.ts';

/** A chat as stored in the browser: only its texts. */
export interface StoredChat {
  id: string;
  /** Unix seconds of its last answer. */
  at: number;
  kind: Kind;
  system: string;
  turns: { prompt: string; answers: { model: string; text: string }[] }[];
}

/** Older chats are removed. */
const maxChats = 50;

/** Storage key of a session's chats in a team. The end of the session removes them (data/browser-storage.ts). */
export const historyKey = ({ team, session }: Me): string =>
  storageKey(session?.id ?? null, 'talks', team?.id ?? '');

export const newChatId = (): string => `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 8)}`;

/** Newest first; empty if the stored data are invalid. */
export function readHistory(key: string): StoredChat[] {
  try {
    const stored: unknown = JSON.parse(readStored(key) ?? '[]');
    return Array.isArray(stored) ? stored.filter(isStoredChat) : [];
  } catch {
    return [];
  }
}

/** Other versions of Graft may have stored another format. */
function isStoredChat(value: unknown): value is StoredChat {
  const { id, at, kind, system, turns } = (value ?? {}) as Partial<StoredChat>;
  const isTurn = ({ prompt, answers }: StoredChat['turns'][number]) =>
    typeof prompt === 'string' &&
    answers.every(({ model, text }) => typeof model === 'string' && typeof text === 'string');
  return (
    typeof id === 'string' &&
    typeof at === 'number' &&
    (kind === 'chat' || kind === 'text') &&
    typeof system === 'string' &&
    turns!.every(isTurn)
  );
}

/** Stores a chat as the newest, and as many of the others as fit. */
export function storeChat(key: string, chat: StoredChat): void {
  const others = readHistory(key).filter(({ id }) => id !== chat.id);
  for (let chats = [chat, ...others].slice(0, maxChats); chats.length > 0; chats = chats.slice(0, -1)) {
    try {
      writeStored(key, JSON.stringify(chats));
      return;
    } catch {
      // The browser's storage is full: try again without the oldest.
    }
  }
}

export function deleteChat(key: string, deletedId: string): void {
  const remaining = readHistory(key).filter(({ id }) => id !== deletedId);
  if (remaining.length > 0) writeStored(key, JSON.stringify(remaining));
  else removeStored(key);
}

export const turnsToStore = (turns: readonly Turn[]): StoredChat['turns'] =>
  turns.map(({ prompt, answers }) => ({
    prompt,
    answers: answers.map((answer) => ({ model: answer.request.model, text: answerText(answer) })),
  }));

/** Restores turns. Their requests have the page's current sampling options. */
export function restoreTurns(
  { kind, system, turns }: StoredChat,
  options: Pick<AnswerRequest, 'sampling' | 'probabilities'>,
): Turn[] {
  return turns.map(({ prompt, answers }, at) => ({
    prompt,
    answers: answers.map(({ model, text }, side) => {
      const previous = turns.slice(0, at).map(({ prompt, answers }) => ({
        prompt,
        answer: answers[side]?.text ?? '',
      }));
      const before = kind === 'chat' ? previous : [];
      const request = { ...options, kind, model, system, prompt, before, steps: [], tools: [] };
      return { ...newAnswer(request), state: 'done' as const, pieces: [{ text, tokens: [] }] };
    }),
  }));
}
