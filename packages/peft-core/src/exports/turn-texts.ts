import { TRAINING_DATE } from '../chat/assistant-spans.ts';
import type { Message } from '../chat/message.ts';
import type { Tokenizer } from '../text/index.ts';

/** Renders a conversation; throws if the template rejects it. */
export type Render = (messages: readonly Message[], addGenerationPrompt: boolean) => string;

/** The texts that a chat template writes around contents. */
export interface TurnTexts {
  /** Before the first turn if there is no system message: often empty, or a default one. */
  start: string;
  /** Where a system message stands: before the turns, in the first or the last turn of the user; null: the template takes none. */
  system: { place: 'start' | 'first' | 'last'; before: string; after: string } | null;
  /** Before a content of the user. What follows it is in the texts before answers. */
  user: string;
  assistant: { before: string; after: string };
  /** Before an answer that the model writes. */
  prompt: string;
}

/** Contents that no template contains or changes. */
const [SYSTEM, ASKED, ANSWERED, AGAIN] = ['Quince', 'Medlar', 'Rowan', 'Sorb'];

const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content });
const system = (content: string): Message => ({ role: 'system', content });

/** Renders as in training, without the bos token at the start if Ollama adds one, as the tokenizer does to every text. */
export function templateRenderer(tokenizer: Tokenizer): Render {
  const { bosId } = tokenizer;
  const addsBos = bosId !== null && tokenizer.specialTokensAround().before.includes(bosId);
  const bos = addsBos ? tokenizer.decode([bosId]) : '';
  return (messages, addGenerationPrompt) => {
    const text = tokenizer.applyChatTemplate(messages, { addGenerationPrompt, now: TRAINING_DATE });
    return text.startsWith(bos) ? text.slice(bos.length) : text;
  };
}

/**
 * The texts around the turns of a chat template, if all its conversations are such texts and contents, one after the other; null for other
 * templates. Found by rendering conversations, and checked with longer ones.
 */
export function turnTexts(render: Render): TurnTexts | null {
  try {
    const found = readTexts(render);
    return found && isRight(found, render) ? found : null;
  } catch {
    // A template that rejects one of these conversations cannot be written as such texts.
    return null;
  }
}

function readTexts(render: Render): TurnTexts | null {
  const conversation = [user(ASKED), assistant(ANSWERED), user(AGAIN)];
  const [first, answer, next, prompt] = split(render(conversation, true), ASKED, ANSWERED, AGAIN);
  if (first === undefined || answer === undefined || next === undefined || prompt === undefined) return null;
  const system = systemText(render, first);
  // Before a turn of the user is the start, an answer or a system message.
  const before = [next, ...(system?.place === 'start' ? [system.after] : [])].reduce(commonEnd, first);
  const withoutTurn = (text: string) => text.slice(0, text.length - before.length);
  return {
    start: withoutTurn(first),
    system: system?.place === 'start' ? { ...system, after: withoutTurn(system.after) } : system,
    user: before,
    assistant: { before: answer, after: withoutTurn(next) },
    prompt,
  };
}

/** `first`: the text before the first turn's content without a system message. A system message at the start is followed by that of a turn. */
function systemText(render: Render, first: string): TurnTexts['system'] {
  let text: string;
  let longer: string;
  try {
    text = render([system(SYSTEM), user(ASKED)], true);
    longer = render([system(SYSTEM), user(ASKED), assistant(ANSWERED), user(AGAIN)], true);
  } catch {
    return null;
  }
  const [before, after] = split(text, SYSTEM, ASKED);
  if (before === undefined || after === undefined) return null;
  if (first === '' || !before.startsWith(first)) return { place: 'start', before, after };
  const isLast = longer.indexOf(SYSTEM) > longer.indexOf(ANSWERED);
  return { place: isLast ? 'last' : 'first', before: before.slice(first.length), after };
}

function commonEnd(a: string, b: string): string {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a.at(-1 - length) === b.at(-1 - length)) length++;
  return a.slice(a.length - length);
}

/** The texts between `contents`, which must follow one another; [] if they do not. */
function split(text: string, ...contents: string[]): string[] {
  const pieces: string[] = [];
  let at = 0;
  for (const content of contents) {
    const found = text.indexOf(content, at);
    if (found < 0) return [];
    pieces.push(text.slice(at, found));
    at = found + content.length;
  }
  return [...pieces, text.slice(at)];
}

/** Checks whether longer conversations consist of these texts and contents, too. */
function isRight(texts: TurnTexts, render: Render): boolean {
  const turns = [user(ASKED), assistant(ANSWERED), user(AGAIN), assistant('Elder'), user('Hazel')];
  const conversations = [turns.slice(0, 1), turns.slice(0, 3), turns];
  const withSystem = texts.system ? conversations.map((each) => [system(SYSTEM), ...each]) : [];
  return [...conversations, ...withSystem].every((each) => joined(texts, each) === render(each, true));
}

/** A conversation that ends with a turn of the user, as the texts give it. */
export function joined(texts: TurnTexts, messages: readonly Message[]): string {
  const given = messages.find(({ role }) => role === 'system')?.content ?? null;
  const turns = messages.filter(({ role }) => role !== 'system');
  const own = (place: string) =>
    given !== null && texts.system?.place === place ? texts.system.before + given + texts.system.after : '';
  const first = own('start') || texts.start;
  const rest = turns.map(({ role, content }, i) => {
    if (role === 'assistant') return texts.assistant.before + content + texts.assistant.after;
    const inTurn = (i === 0 ? own('first') : '') + (i === turns.length - 1 ? own('last') : '');
    return texts.user + inTurn + content;
  });
  return first + rest.join('') + texts.prompt;
}
