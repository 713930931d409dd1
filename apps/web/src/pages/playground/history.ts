import type { Me } from '@graft/client';
import { keptName, readKept, removeKept, writeKept } from '../../data/kept.ts';
import { type Asked, type Kind, newAnswer, type Turn, textOf } from './talk.ts';

/** A talk as it is kept: texts alone. */
export interface KeptTalk {
  id: string;
  /** Unix seconds of its last answer. */
  at: number;
  kind: Kind;
  system: string;
  turns: { prompt: string; answers: { model: string; text: string }[] }[];
}

/** Newer talks push older ones out. */
const mostTalks = 50;

/** Of one session in one team. The end of the session removes it (data/kept.ts). */
export const historyKey = ({ team, session }: Me): string =>
  keptName(session?.id ?? null, 'talks', team?.id ?? '');

export const newTalkId = (): string => `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 8)}`;

/** Newest first; what is no history of ours is none. */
export function readHistory(key: string): KeptTalk[] {
  try {
    const kept: unknown = JSON.parse(readKept(key) ?? '[]');
    return Array.isArray(kept) ? kept.filter(isTalk) : [];
  } catch {
    return [];
  }
}

/** Another version of Graft may have kept them in another form. */
function isTalk(value: unknown): value is KeptTalk {
  const { id, at, kind, system, turns } = (value ?? {}) as Partial<KeptTalk>;
  const isTurn = ({ prompt, answers }: KeptTalk['turns'][number]) =>
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

/** Keeps a talk, the newest now, and of the others as many as there is room for. */
export function keepTalk(key: string, talk: KeptTalk): void {
  const others = readHistory(key).filter(({ id }) => id !== talk.id);
  for (let talks = [talk, ...others].slice(0, mostTalks); talks.length > 0; talks = talks.slice(0, -1)) {
    try {
      writeKept(key, JSON.stringify(talks));
      return;
    } catch {
      // The browser's room is full: the oldest goes.
    }
  }
}

export function forgetTalk(key: string, gone: string): void {
  const left = readHistory(key).filter(({ id }) => id !== gone);
  if (left.length > 0) writeKept(key, JSON.stringify(left));
  else removeKept(key);
}

export const keptTurns = (turns: readonly Turn[]): KeptTalk['turns'] =>
  turns.map(({ prompt, answers }) => ({
    prompt,
    answers: answers.map((answer) => ({ model: answer.asked.model, text: textOf(answer) })),
  }));

/** Turns to go on from; asking again goes by `asked`, which is what the page would ask now. */
export function turnsOf(
  { kind, system, turns }: KeptTalk,
  now: Pick<Asked, 'sampling' | 'probabilities'>,
): Turn[] {
  return turns.map(({ prompt, answers }, at) => ({
    prompt,
    answers: answers.map(({ model, text }, side) => {
      const earlier = turns.slice(0, at).map(({ prompt, answers }) => ({
        ...{ prompt, answer: answers[side]?.text ?? '' },
      }));
      const asked = { ...now, kind, model, system, prompt, before: kind === 'chat' ? earlier : [] };
      return { ...newAnswer(asked), state: 'done' as const, pieces: [{ text, tokens: [] }] };
    }),
  }));
}
