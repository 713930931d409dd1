import { parseSync } from 'oxc-parser';

/** A piece of a file that people read, and the line on which it begins, from 1. */
export interface Prose {
  text: string;
  line: number;
}

/** A source file's prose, and the names that it declares. */
export interface SourceText {
  prose: Prose[];
  names: Prose[];
}

/** What people read of a file: comments, strings, the text of pages and declared names; Markdown without its code. */
export function readSource(path: string, text: string): SourceText {
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
