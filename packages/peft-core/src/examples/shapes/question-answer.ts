import { isRecord, show } from '../../schema/check-fields.ts';
import { hasPrompt, isPreference, type Line, textFault } from '../formats/fields.ts';
import { areAnswers } from '../formats/preference.ts';
import type { Shape } from './shape.ts';
import { callsIn } from './sharegpt.ts';

const QUESTIONS = ['question', 'query', 'instruction', 'input'];
const ANSWERS = ['answer', 'response', 'output'];
/** Columns that belong to a question. */
const BESIDE = ['context', 'history', 'system', 'system_prompt'];

const given = (row: Line, names: readonly string[]) => names.filter((name) => row[name] !== undefined);

/** The column that is not read where a row has both names of the system prompt. */
const otherSystem = ({ system, system_prompt }: Line): string[] =>
  system !== undefined && system_prompt !== undefined ? ['system_prompt'] : [];

/** The two columns of a row that has one of each; null for several, of which none is obvious. */
function pairOf(row: Line): [question: string, answer: string] | null {
  const questions = given(row, QUESTIONS);
  const answers = given(row, ANSWERS);
  if (answers.length === 0) answers.push(...given(row, ['answers']));
  return questions.length === 1 && answers.length === 1 ? [questions[0]!, answers[0]!] : null;
}

/**
 * Instructions, each with an optional input, as Stanford's Alpaca has them, and with earlier turns, as LLaMA-Factory does. Read as a chat, so
 * that the model's own template applies.
 */
export const alpaca: Shape = {
  name: 'alpaca',
  title: 'Alpaca instructions',
  columns: ['instruction', 'output', 'input', ...BESIDE],
  sample: '{"instruction": "Name the part.", "input": "It stops the wheel.", "output": "The brake."}',
  yields: false,
  unread: otherSystem,
  // The original has a column "text", too: its rows rendered for one model.
  matches: ({ instruction, output, messages, prompt }) =>
    instruction !== undefined && output !== undefined && messages === undefined && prompt === undefined,
  convert(row) {
    const before = asked(row, ['instruction', 'input']);
    if (typeof before === 'string') return before;
    return textFault(row, 'output') ?? { messages: [...before, { role: 'assistant', content: row.output }] };
  },
};

/** A question with its answer, under the names in common use. Read as a chat, so that the model's own template applies. */
export const questionAnswer: Shape = {
  name: 'question_answer',
  title: 'questions with answers',
  columns: [...QUESTIONS, ...ANSWERS, 'answers', 'tools', ...BESIDE],
  sample: '{"question": "Which tyre fits?", "answer": "A 32."}',
  yields: true,
  // Tools are read where the answer is a list of calls.
  unread: (row) => [
    ...otherSystem(row),
    ...(Array.isArray(row.tools) && pairOf(row)?.[1] === 'answers' && !isRecord(row.answers)
      ? []
      : ['tools']),
    ...(pairOf(row)?.[1] === 'answers' ? [] : ['answers']),
  ],
  matches: (row) => pairOf(row) !== null,
  convert(row) {
    const [question, name] = pairOf(row)!;
    const before = asked(row, [question]);
    if (typeof before === 'string') return before;
    const answer = name === 'answers' ? answerIn(row) : (textFault(row, name) ?? { content: row[name] });
    if (typeof answer === 'string') return answer;
    const messages = [...before, { role: 'assistant', ...answer }];
    return 'tool_calls' in answer ? { messages, tools: row.tools } : { messages };
  },
};

/** A question with a chosen and a rejected answer that do not repeat it. */
export const questionPreference: Shape = {
  name: 'question_preference',
  title: 'questions with a chosen and a rejected answer',
  columns: ['instruction', 'chosen', 'rejected', 'input', 'question', 'query', ...BESIDE],
  sample: '{"question": "Which tyre fits?", "chosen": "A 32.", "rejected": "Any tyre."}',
  yields: false,
  unread: otherSystem,
  matches(row) {
    const [name] = given(row, QUESTIONS);
    if (name === undefined || row.prompt !== undefined || !isPreference(row)) return false;
    return typeof row.chosen === 'string'
      ? !hasPrompt({ ...row, prompt: row[name] }, 'chosen')
      : areAnswers(row);
  },
  convert(row) {
    const names = given(row, QUESTIONS);
    const isOne = names.length === 1 || names.join() === 'instruction,input';
    if (!isOne)
      return `has ${names.map(show).join(' and ')}, and no "prompt"; map the one that is meant: {"question": …, "chosen": "chosen", "rejected": "rejected"}`;
    const prompt = asked(row, names);
    if (typeof prompt === 'string') return prompt;
    const answers = { chosen: row.chosen, rejected: row.rejected };
    const fault = Object.keys(answers).find((name) => !Array.isArray(row[name]) && textFault(row, name));
    if (fault) return textFault(row, fault)!;
    const messagesOf = (answer: unknown) =>
      Array.isArray(answer) ? answer : [{ role: 'assistant', content: answer }];
    return { prompt, chosen: messagesOf(row.chosen), rejected: messagesOf(row.rejected) };
  },
};

/**
 * The messages before an answer: system prompt, earlier turns, and the columns `names` with the context, in paragraphs; or the row's fault. A
 * context follows an instruction, as in Databricks' own prompts of Dolly, and precedes a question, as in those of SQuAD (EleutherAI's
 * lm-evaluation-harness, squadv2; FLAN). The answers of earlier turns count towards the loss, as in LLaMA-Factory (data/README.md).
 */
function asked(row: Line, names: readonly string[]): object[] | string {
  const { history = [], context = [] } = row;
  const named = row.system === undefined ? 'system_prompt' : 'system';
  const system = row[named] ?? '';
  if (typeof system !== 'string') return `"${named}" must be a string, got ${show(system)}`;
  const [first, ...others] = names;
  if (typeof row[first!] !== 'string') return `"${first}" must be a string, got ${show(row[first!])}`;
  const wrong = others.find((name) => row[name] !== undefined && typeof row[name] !== 'string');
  if (wrong) return `"${wrong}" must be a string, got ${show(row[wrong])}`;
  const contexts = [context].flat();
  if (!contexts.every((each) => typeof each === 'string'))
    return `"context" must be a string or a list of strings, got ${show(context)}; ${LEAVE_OUT}`;
  const own = names.map((name) => row[name]);
  const parts = first === 'instruction' ? [...own, ...contexts] : [...contexts, ...own];
  const content = parts.filter(Boolean).join('\n\n');
  if (own.every((part) => !part))
    return names.length > 1
      ? `${names.map((name) => `"${name}"`).join(' and ')} are empty`
      : `"${first}" is empty`;
  const turns = turnsOf(history);
  if (typeof turns === 'string') return turns;
  const start = system === '' ? [] : [{ role: 'system', content: system }];
  return [...start, ...turns, { role: 'user', content }];
}

const LEAVE_OUT = 'to leave it out, map the other columns (columns)';

/** Earlier turns: pairs of a question and an answer, or messages. */
function turnsOf(history: unknown): object[] | string {
  const turns = history === '' ? [] : history;
  if (Array.isArray(turns)) {
    if (turns.every((turn) => isRecord(turn) && turn.role !== undefined)) return turns;
    const isPair = (turn: unknown) =>
      Array.isArray(turn) && turn.length === 2 && turn.every((text) => typeof text === 'string');
    if (turns.every(isPair))
      return turns.flatMap(([question, answer]) => [
        { role: 'user', content: question },
        { role: 'assistant', content: answer },
      ]);
  }
  return `"history" must be a list of pairs, [question, answer], or of messages, got ${show(history)}; ${LEAVE_OUT}`;
}

/** SQuAD's answers, of which the first is meant, or a list of calls as JSON, beside their tools. */
function answerIn({ answers, tools }: Line): object | string {
  if (isRecord(answers)) {
    const [text] = [answers.text].flat();
    if (typeof text === 'string' && text !== '') return { content: text };
    return '"answers" has no text, so that there is nothing to learn';
  }
  const calls = tools === undefined ? null : callsIn(answers);
  if (calls === null || typeof calls === 'string')
    return `"answers" must be {"text": ["…"]}, or calls of "tools" as JSON, got ${show(answers)}`;
  return { content: null, tool_calls: calls.map((call) => ({ type: 'function', function: call })) };
}
