import type { Trial } from './results.ts';

/** Whether one of the words names its task, or task/method, or method; without words all are chosen. */
export function isChosen({ task, method }: Pick<Trial, 'task' | 'method'>, words: string[]): boolean {
  return words.length === 0 || words.some((word) => [task, method, `${task}/${method}`].includes(word));
}
