import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'oxc-parser';

/** A text of a file that people read, and the line on which it starts, from 1. */
interface Prose {
  text: string;
  line: number;
}

/** A source file's prose, and the names that it declares. */
interface SourceText {
  prose: Prose[];
  names: Prose[];
}

/** Parts of a file that people read: comments, strings, the text of pages and declared names; Markdown without its code. */
function readSource(path: string, text: string): SourceText {
  if (/\.(?:[cm]?ts|tsx|[cm]?js)$/.test(path)) return readScript(path, text);
  if (path.endsWith('.md')) return { prose: markdownProse(text), names: [] };
  return { prose: commentLines(text, commentMark(path)), names: [] };
}

interface Node {
  type: string;
  start: number;
  end: number;
  [field: string]: unknown;
}

function readScript(path: string, text: string): SourceText {
  const { program, comments } = parseSync(path, text);
  const lineAt = lineCounter(text);
  const piece = ({ start, end }: { start: number; end: number }) => {
    return { text: text.slice(start, end), line: lineAt(start) };
  };
  const source: SourceText = { prose: comments.map(piece), names: [] };
  visit(program as unknown as Node, (node, parent) => {
    if (isProse(node, parent)) source.prose.push(piece(node));
    if (node.type === 'Identifier' && isDeclared(node, parent))
      source.names.push({ text: String(node.name), line: lineAt(node.start) });
  });
  return source;
}

function isProse(node: Node, parent: Node | null): boolean {
  if (node.type === 'TemplateElement' || node.type === 'JSXText') return true;
  return (
    node.type === 'Literal' &&
    typeof node.value === 'string' &&
    !/^(?:Import|Export)/.test(parent?.type ?? '')
  );
}

const DECLARATIONS =
  /^(?:Function|Class|VariableDeclarator|TS(?:Interface|TypeAlias|Enum)Declaration|Method|PropertyDefinition|TSPropertySignature|TSMethodSignature)/;

function isDeclared(node: Node, parent: Node | null): boolean {
  if (parent === null) return false;
  if (parent.params !== undefined && (parent.params as Node[]).includes(node)) return true;
  return DECLARATIONS.test(parent.type) && (parent.id === node || parent.key === node);
}

function visit(node: Node, see: (node: Node, parent: Node | null) => void, parent: Node | null = null): void {
  see(node, parent);
  for (const value of Object.values(node))
    for (const child of Array.isArray(value) ? value : [value])
      if (typeof child?.type === 'string' && typeof child.start === 'number') visit(child, see, node);
}

/** The line of a place in a text, from 1. */
function lineCounter(text: string): (at: number) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (at) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= at) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}

function markdownProse(text: string): Prose[] {
  let isCode = false;
  return text.split('\n').flatMap((line, at) => {
    if (/^\s*(?:```|~~~)/.test(line)) {
      isCode = !isCode;
      return [];
    }
    return isCode ? [] : [{ text: line.replaceAll(/`[^`]*`|\]\([^)]*\)/g, ' '), line: at + 1 }];
  });
}

function commentMark(path: string): RegExp {
  if (/\.(?:cc|h|css|prisma)$/.test(path)) return /(?:\/\/|\/\*|^\s*\*)(.*)/;
  return path.endsWith('.sql') ? /--(.*)/ : /#(.*)/;
}

function commentLines(text: string, mark: RegExp): Prose[] {
  return text.split('\n').flatMap((line, at) => {
    const comment = mark.exec(line)?.[1];
    return comment ? [{ text: comment, line: at + 1 }] : [];
  });
}

/** Words and phrases that a reader from another project would stop at, and what to write instead (docs/decisions/0047-plain-english.md). */
interface AvoidedWord {
  /** Matched without regard to case. */
  pattern: RegExp;
  instead: string;
}

/** In comments, strings, text of the pages and Markdown. */
const avoidedPhrases: AvoidedWord[] = [
  { pattern: /\btold\b|\btells?\b/, instead: 'report, log, document, show' },
  { pattern: /\bheld against\b/, instead: 'compared with, checked against' },
  { pattern: /\b(?:go(?:es)?|going|gone|went) on\b(?! to\b)/, instead: 'continue, resume' },
  { pattern: /\b(?:comes?|came) to\b(?! (?:an end|a stop))/, instead: 'is, totals, estimate' },
  { pattern: /\bso many\b/, instead: 'N, up to N' },
  { pattern: /\bbegun\b/, instead: 'started' },
  { pattern: /\bsendings\b/, instead: 'uploads' },
  { pattern: /\bin sight\b/, instead: 'visible' },
  { pattern: /\bwho(?:so)?ever\b/, instead: 'anyone who, the user' },
  { pattern: /\bat once at most\b/, instead: 'at a time, maximum concurrent' },
  { pattern: /\b(?:is|are|was|were) taken\b(?! (?:by another|already))/, instead: 'accepted, read' },
  { pattern: /\b(?:is|are|was|were|went) away\b/, instead: 'unavailable' },
  { pattern: /\bmak(?:e|es|ing) room\b|\bmade room\b/, instead: 'preempt, free space' },
  { pattern: /\broom (?:for|left)\b/, instead: 'memory, space, capacity' },
  { pattern: /\bmend(?:s|ed|ing)?\b/, instead: 'fix, repair' },
  { pattern: /\banew\b/, instead: 'again' },
  { pattern: /\blearnt\b/, instead: 'learned, trained on' },
  { pattern: /\bshall\b/, instead: 'must' },
  { pattern: /\bmade of\b/, instead: 'built from, created from' },
  {
    pattern: /\bgiv(?:es?|en|ing) back\b|\bgiv(?:es|en|ing) up\b|\bgave (?:up|back)\b/,
    instead: 'release, evict, drop',
  },
  { pattern: /\blooked at\b/, instead: 'read, inspected' },
  { pattern: /\bno more\b(?!(?: [\w-]+){0,3} than\b)/, instead: 'no longer' },
  { pattern: /\bof (?:its|their) own\b/, instead: 'separate, private, own' },
  { pattern: /\bstands? (?:in|on)\b|\bstanding\b(?<!long-standing)/, instead: 'is in, status' },
  { pattern: /\basked for\b/, instead: 'requested' },
  { pattern: /\bfault of its own\b/, instead: 'internal error' },
  { pattern: /\bthat which\b/, instead: 'name the thing' },
];

/** Names of functions, variables, types and members: nouns for values, verbs for functions, never a pronoun or an adverb. */
const avoidedNames: AvoidedWord[] = [
  { pattern: /^(?:as|of|beside|along|given|made|gone|asked)[A-Z]\w*$/, instead: 'a noun' },
  { pattern: /^(?:As|Of|Beside|Along|Given|Made|Gone|Asked)[A-Z]\w*$/, instead: 'a noun' },
  { pattern: /^#?(?:tells?|told)$/, instead: 'what is reported, or a verb of the field' },
  { pattern: /^(?:tells?|told|says?|said|most|may)[A-Z]\w*$/, instead: 'report, max, can' },
];

/** Standard names, and names of columns. */
const knownNames = new Set(['asCurl', 'ofType', 'asyncIterator', 'madeByKey', 'givenName']);

const read = /\.(?:[cm]?ts|tsx|[cm]?js|md|py|cc|h|css|sh|ya?ml|prisma)$/;
/** Generated files, data, and the list itself with its tests. */
const skipped = /(?:^|\/)(?:generated|testdata)\/|^scripts\/words\//;

/** The words to avoid in the tracked files below `paths`, all of them by default. */
export function wordsInFiles(root: string, paths: readonly string[] = []): FoundWord[] {
  const listed = execFileSync('git', ['ls-files', '--', ...paths], { cwd: root, encoding: 'utf8' });
  const files = listed.split('\n').filter((path) => read.test(path) && !skipped.test(path));
  return files
    .filter((path) => existsSync(join(root, path)))
    .flatMap((path) => findWords(path, readFileSync(join(root, path), 'utf8')));
}

interface FoundWord {
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
