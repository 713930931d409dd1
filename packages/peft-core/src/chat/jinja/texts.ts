import type { TemplateBudget } from '../template-budget.ts';

/** Characters that Python's `str.strip` removes: JavaScript's `trim` also removes U+FEFF, and leaves U+001C to U+001F and U+0085. */
const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const isSpace = new RegExp(`[${SPACE}]`);
const WORDS = new RegExp(`[^${SPACE}]+`, 'g');
/** Where Python's `str.splitlines` splits. */
const LINE_ENDS = '\\r\\n|[\\n\\v\\f\\r\\x1c-\\x1e\\x85\\u2028\\u2029]';
const LINE_END = new RegExp(LINE_ENDS, 'g');

type Side = 'both' | 'left' | 'right';

/** Python's `strip`, `lstrip` and `rstrip`. `characters`: those removed; null for white space. */
export function strip(value: string, side: Side = 'both', characters: string | null = null): string {
  let from = 0;
  let to = value.length;
  const gone = characters === null ? null : new Set(characters.split(''));
  const isGone = (unit: string) => (gone ? gone.has(unit) : isSpace.test(unit));
  if (side !== 'right') while (from < to && isGone(value[from]!)) from++;
  if (side !== 'left') while (to > from && isGone(value[to - 1]!)) to--;
  return value.slice(from, to);
}

/** Python's `str.split` without a separator: at white space. */
export function words(value: string, most = Number.POSITIVE_INFINITY): string[] {
  const found: string[] = [];
  for (const { 0: word, index } of value.matchAll(WORDS)) {
    if (found.length >= most) return [...found, strip(value.slice(index), 'left')];
    found.push(word);
  }
  return found;
}

/** Python's `str.split` with a separator: at most `most` cuts, from the left or from the right. */
export function pieces(
  value: string,
  separator: string,
  most: number,
  budget: TemplateBudget,
  fromRight = false,
): string[] {
  if (separator === '') throw new Error('empty separator');
  budget.search(value, separator);
  const all = value.split(separator);
  if (most < 0 || all.length <= most + 1) return all;
  return fromRight
    ? [all.slice(0, all.length - most).join(separator), ...all.slice(all.length - most)]
    : [...all.slice(0, most), all.slice(most).join(separator)];
}

/** Python's `str.splitlines`. */
export function lines(value: string): string[] {
  const found = value.split(LINE_END);
  if (found.at(-1) === '') found.pop();
  return found;
}

/** Python's `str.replace`. */
export function replace(
  value: string,
  old: string,
  by: string,
  most: number,
  budget: TemplateBudget,
): string {
  if (old === '') budget.spend(0, value.length);
  else budget.search(value, old);
  const parts = old === '' ? ['', ...value, ''] : value.split(old);
  const cuts = most < 0 ? parts.length - 1 : Math.min(most, parts.length - 1);
  const rest = parts.slice(cuts).join(old);
  return join([...parts.slice(0, cuts), rest], by, budget);
}

/** Python's `str.join`. */
export function join(items: readonly string[], separator: string, budget: TemplateBudget): string {
  budget.read(items.length);
  budget.spend(items.reduce((sum, item) => sum + item.length, separator.length * items.length));
  return items.join(separator);
}

/** Jinja's filter `indent`. */
export function indent(
  value: string,
  by: string,
  { first = false, blank = false },
  budget: TemplateBudget,
): string {
  const all = lines(`${value}\n`);
  budget.spend(value.length + all.length * by.length);
  const indented = all.map((line, i) => (i > 0 && (blank || line !== '') ? by + line : line));
  return (first ? by : '') + indented.join('\n');
}

export const capitalize = (value: string): string => {
  const first = String.fromCodePoint(value.codePointAt(0) ?? 0).slice(0, value.length);
  return first.toUpperCase() + value.slice(first.length).toLowerCase();
};

/** Jinja's filter `title`. */
export const title = (value: string): string =>
  value
    .split(/([-\s({[<]+)/)
    .map(capitalize)
    .join('');

/** Python's `str.title`: each run of letters. */
export const titleOfWords = (value: string): string => value.replace(/\p{L}+/gu, capitalize);
