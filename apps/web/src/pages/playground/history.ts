import type { Me } from '@graft/client';
import { readStored, removeStored, storageKey, writeStored } from '../../data/browser-storage.ts';
import {
  type AnswerRequest,
  type Kind,
  newAnswer,
  type PastAnswer,
  pastAnswer,
  previousTurns,
  type Step,
  type ToolCall,
  type Turn,
} from './chat.ts';
import { parseTools } from './parse-tools.ts';

/** A chat as stored in the browser: what its next request sends. */
export interface StoredChat {
  id: string;
  /** Unix seconds of its last answer. */
  at: number;
  kind: Kind;
  system: string;
  /** The text of the field; absent: none. */
  tools?: string;
  /** Earlier versions stored only the text of an answer. */
  turns: { prompt: string; answers: (Partial<PastAnswer> & { model: string; text: string })[] }[];
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
  const { id, at, kind, system, tools = '', turns } = (value ?? {}) as Partial<StoredChat>;
  const isTurn = ({ prompt, answers }: StoredChat['turns'][number]) =>
    isText(prompt) &&
    answers.every(
      ({ model, text, reasoning = '', calls = [], steps = [] }) =>
        [model, text, reasoning].every(isText) && calls.every(isCall) && steps.every(isStep),
    );
  return (
    typeof id === 'string' &&
    typeof at === 'number' &&
    (kind === 'chat' || kind === 'text') &&
    isText(system) &&
    isText(tools) &&
    turns!.every(isTurn)
  );
}

const isText = (value: unknown): boolean => typeof value === 'string';
const isCall = ({ id, name, arguments: json }: ToolCall): boolean => [id, name, json].every(isText);
const isStep = ({ text, reasoning, calls, results }: Step): boolean =>
  [text, reasoning, ...results].every(isText) && calls.every(isCall);

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
    answers: answers.map((answer) => ({ model: answer.request.model, ...pastAnswer(answer) })),
  }));

/** Restores turns. Their requests have the page's current sampling options. */
export function restoreTurns(
  { kind, system, tools: toolsText = '', turns: stored }: StoredChat,
  options: Pick<AnswerRequest, 'sampling' | 'probabilities'>,
): Turn[] {
  const { tools } = parseTools(toolsText);
  const turns = stored.map(({ prompt, answers }) => ({
    prompt,
    answers: answers.map(({ reasoning = '', calls = [], steps = [], ...answer }) => ({
      ...answer,
      reasoning,
      calls,
      steps,
    })),
  }));
  return turns.map(({ prompt, answers }, at) => ({
    prompt,
    answers: answers.map(({ model, text, reasoning, calls, steps }, side) => {
      const before = kind === 'chat' ? previousTurns(turns.slice(0, at), side) : [];
      const request = { ...options, kind, model, system, prompt, before, steps, tools };
      const pieces = [{ text, tokens: [] }];
      const finish = calls.length > 0 ? ('tool_calls' as const) : null;
      return { ...newAnswer(request), state: 'done' as const, pieces, reasoning, calls, finish };
    }),
  }));
}
