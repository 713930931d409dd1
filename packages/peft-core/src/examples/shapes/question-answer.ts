import { show } from '../../schema/check-fields.ts';
import type { Line } from '../formats/fields.ts';
import type { Shape } from './shape.ts';

const QUESTIONS = ['question', 'query', 'instruction', 'input'];
const ANSWERS = ['answer', 'response', 'output'];

/** The two columns of a row that has one of each; null for several, of which none is obvious. */
function pairOf(row: Line): [question: string, answer: string] | null {
  const questions = QUESTIONS.filter((name) => row[name] !== undefined);
  const answers = ANSWERS.filter((name) => row[name] !== undefined);
  return questions.length === 1 && answers.length === 1 ? [questions[0]!, answers[0]!] : null;
}

/** A question with its answer, under the names in common use. Read as a chat, so that the model's own template applies. */
export const questionAnswer: Shape = {
  name: 'question_answer',
  title: 'questions with answers',
  columns: [...new Set([...QUESTIONS, ...ANSWERS, 'system'])],
  sample: '{"question": "Which tyre fits?", "answer": "A 32."}',
  yields: true,
  matches: (row) => pairOf(row) !== null,
  convert(row) {
    const [question, answer] = pairOf(row)!;
    for (const name of [question, answer]) {
      if (typeof row[name] !== 'string') return `"${name}" must be a string, got ${show(row[name])}`;
      if (row[name] === '') return `"${name}" is empty`;
    }
    const messages = [
      { role: 'user', content: row[question] },
      { role: 'assistant', content: row[answer] },
    ];
    const { system } = row;
    if (typeof system === 'string' && system !== '') messages.unshift({ role: 'system', content: system });
    return { messages };
  },
};
