import { readSource } from './prose.ts';
import { avoidedNames, avoidedPhrases, knownNames } from './word-list.ts';

export interface FoundWord {
  path: string;
  line: number;
  word: string;
  instead: string;
}

/** A phrase may be broken over lines. */
const phrases = avoidedPhrases.map(({ pattern, instead }) => {
  return { pattern: new RegExp(pattern.source.replaceAll(' ', '\\s+'), 'gi'), instead };
});

/** Each use of a word from the list, in the order of lines. */
export function findWords(path: string, text: string): FoundWord[] {
  const found: FoundWord[] = [];
  const { prose, names } = readSource(path, text);
  for (const { text: piece, line: first } of prose) {
    const plain = piece.replaceAll(
      /\n\s*(?:\*|\/\/)(?= )/g,
      (margin) => `\n${' '.repeat(margin.length - 1)}`,
    );
    for (const { pattern, instead } of phrases)
      for (const match of plain.matchAll(pattern)) {
        const line = first + plain.slice(0, match.index).split('\n').length - 1;
        found.push({ path, line, word: match[0].replaceAll(/\s+/g, ' '), instead });
      }
  }
  for (const { text: name, line } of names) {
    const avoided = knownNames.has(name) ? undefined : avoidedNames.find(({ pattern }) => pattern.test(name));
    if (avoided) found.push({ path, line, word: name, instead: avoided.instead });
  }
  return found.sort((a, b) => a.line - b.line);
}
