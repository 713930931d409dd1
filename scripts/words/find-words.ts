import { readSource } from './prose.ts';
import { avoidedNames, avoidedPhrases, knownNames } from './word-list.ts';

export interface FoundWord {
  path: string;
  line: number;
  word: string;
  instead: string;
}

/** Each use of a word from the list, in the order of lines. */
export function findWords(path: string, text: string): FoundWord[] {
  const found: FoundWord[] = [];
  const { prose, names } = readSource(path, text);
  for (const { text: piece, line: first } of prose)
    for (const { pattern, instead } of avoidedPhrases)
      for (const match of piece.matchAll(new RegExp(pattern, 'gi'))) {
        const line = first + piece.slice(0, match.index).split('\n').length - 1;
        found.push({ path, line, word: match[0], instead });
      }
  for (const { text: name, line } of names) {
    const avoided = knownNames.has(name) ? undefined : avoidedNames.find(({ pattern }) => pattern.test(name));
    if (avoided) found.push({ path, line, word: name, instead: avoided.instead });
  }
  return found.sort((a, b) => a.line - b.line);
}
