/** What Python's `str.strip` removes: JavaScript's `trim` also removes U+FEFF, and leaves U+001C to U+001F and U+0085. */
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
  if (side !== 'right') while (from < to && isGone(value[from]!, characters)) from++;
  if (side !== 'left') while (to > from && isGone(value[to - 1]!, characters)) to--;
  return value.slice(from, to);
}

function isGone(unit: string, characters: string | null): boolean {
  return characters === null ? isSpace.test(unit) : characters.includes(unit);
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
export function pieces(value: string, separator: string, most: number, fromRight = false): string[] {
  if (separator === '') throw new Error('empty separator');
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

/** Maximum length of a text that `replace` and `join` make. */
const MAX_TEXT = 1 << 26;

/** Python's `str.replace`. */
export function replace(value: string, old: string, by: string, most = -1): string {
  const parts = old === '' ? ['', ...value, ''] : value.split(old);
  const cuts = most < 0 ? parts.length - 1 : Math.min(most, parts.length - 1);
  return join([...parts.slice(0, cuts), parts.slice(cuts).join(old)], by);
}

/** Python's `str.join`. */
export function join(items: readonly string[], separator: string): string {
  const length = items.reduce((sum, item) => sum + item.length, separator.length * items.length);
  if (length > MAX_TEXT) throw new Error(`a text has more than ${MAX_TEXT} characters`);
  return items.join(separator);
}

/** Jinja's filter `indent`. */
export function indent(value: string, by: string, { first = false, blank = false }): string {
  const all = lines(`${value}\n`);
  const indented = all.map((line, i) => (i > 0 && (blank || line !== '') ? by + line : line));
  return (first ? by : '') + indented.join('\n');
}

export const capitalize = (value: string): string => {
  const [first = '', ...rest] = value;
  return first.toUpperCase() + rest.join('').toLowerCase();
};

/** Jinja's filter `title`. */
export const title = (value: string): string =>
  value
    .split(/([-\s({[<]+)/)
    .map(capitalize)
    .join('');

/** Python's `str.title`: each run of letters. */
export const titleOfWords = (value: string): string => value.replace(/\p{L}+/gu, capitalize);
