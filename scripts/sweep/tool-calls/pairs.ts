import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { permutation, Random } from '../../../packages/peft-core/src/random.ts';
import type { Rows } from '../sweep.ts';
import { type Call, callOf } from './match-calls.ts';
import { isHeldOut, type Question, readQuestions } from './questions.ts';

export interface Message {
  role: string;
  content?: string;
  tool_calls?: { id: string; type: string; function: { name: string; arguments: string } }[];
}

/** A line of preferences: texts, or messages, with tools where the answer is a call. */
export type Pair =
  | { prompt: string; chosen: string; rejected: string }
  | { prompt: Message[]; chosen: Message[]; rejected: Message[]; tools?: object[] };

const SEED = 42;
/** Maximum length of a question's tools as JSON, in characters: longer prompts take too long. */
const longestTools = 500;

/** The model's own template has no tools. */
export const toolTemplate = (): string =>
  readFileSync(join(import.meta.dirname, 'chat-template.jinja'), 'utf8');

/** Questions of the Berkeley Function-Calling Leaderboard that one call answers; the first call downloads them (2 MB). */
export async function toolCallPairs(counts: Record<keyof Rows, number>): Promise<Rows<Pair>> {
  const all = await readQuestions(['simple_python', 'multiple', 'live_simple']);
  const fitting = all.filter(
    ({ tools, calls }) => calls.length === 1 && JSON.stringify(tools).length <= longestTools,
  );
  const order = permutation(fitting.length, new Random(SEED, 'order'));
  const questions = [...order].map((at) => fitting[at]!);
  const pairsOf = (part: keyof Rows) =>
    questions
      .filter((question) => isHeldOut(question, SEED) === (part === 'validation'))
      .flatMap(pairOf)
      .slice(0, counts[part]);
  return { training: pairsOf('training'), validation: pairsOf('validation') };
}

/** None of a call that has nothing to be wrong. */
function pairOf({ messages, tools, calls }: Question, i: number): Pair[] {
  const right = callOf(calls[0]!);
  const wrong = wrongCall(right, {
    functions: tools.map((tool) => tool.function.name).filter((name) => name !== right.name),
    words: messages
      .at(-1)!
      .content.split(/[^\p{L}\p{N}]+/u)
      .filter((word) => word.length > 3),
    i,
  });
  if (!wrong) return [];
  return [{ tools, prompt: messages, chosen: [messageOf(right)], rejected: [messageOf(wrong)] }];
}

const messageOf = ({ name, arguments: given }: Call) => ({
  role: 'assistant',
  tool_calls: [{ id: 'call_0', type: 'function', function: { name, arguments: JSON.stringify(given) } }],
});

/**
 * The call of another function, in every second question that has several; else with one argument, in turn, that is wrong.
 * @param functions the other ones
 * @param words of the question
 */
export function wrongCall(
  { name, arguments: given }: Call,
  { functions, words, i }: { functions: string[]; words: string[]; i: number },
): Call | null {
  if (functions.length > 0 && i % 2 === 0)
    return { name: functions[i % functions.length]!, arguments: given };
  const names = Object.keys(given);
  if (names.length === 0) return null;
  const field = names[i % names.length]!;
  const others = Object.values(given).filter((value): value is string => typeof value === 'string');
  const wrong = wrongValue(given[field], [...others, ...words], i);
  return wrong === undefined ? null : { name, arguments: { ...given, [field]: wrong } };
}

/** A text lacks its last word, or is one of `texts`: another argument, or a word of the question. */
function wrongValue(value: unknown, texts: string[], i: number): unknown {
  if (typeof value === 'number') return i % 2 === 0 ? value + 1 : value * 10 || 10;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') {
    if (value.includes(' ') && i % 2 === 0) return value.slice(0, value.lastIndexOf(' '));
    return texts.find((text) => !value.toLowerCase().includes(text.toLowerCase()));
  }
  if (Array.isArray(value)) {
    if (value.length > 1) return value.slice(0, -1);
    const wrong = value.length === 1 ? wrongValue(value[0], texts, i) : undefined;
    return wrong === undefined ? undefined : [wrong];
  }
  return undefined;
}
