/**
 * Describes why and where a text is not JSON without quoting it, since it may be private data. The messages of
 * `JSON.parse` quote it.
 */

const literals = ['true', 'false', 'null'];
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/** For example `an unexpected character at position 17`, from 1, in UTF-16 units. Null if the text is JSON. */
export function jsonFault(text: string): string | null {
  /** The open brackets; `next`: what may follow. */
  const open: ('{' | '[')[] = [];
  let next = 'value' as 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or end';
  let at = 0;
  const space = () => {
    while (at < text.length && ' \t\n\r'.includes(text[at]!)) at += 1;
  };
  const fault = (what: string) => `${what} at position ${at + 1}`;
  for (;;) {
    space();
    const char = text[at];
    if (next === ', or end' && open.length === 0)
      return char === undefined ? null : fault('text after its end');
    if (char === undefined) return fault(at === 0 ? 'nothing' : 'an early end');
    if (char === '"' && next !== ':' && next !== ', or end') {
      const wrong = skipString();
      if (wrong) return fault(wrong);
      next = next === 'name' || next === 'name or }' ? ':' : ', or end';
    } else if (next === ':' && char === ':') {
      at += 1;
      next = 'value';
    } else if (next === ', or end' && char === ',') {
      at += 1;
      next = open.at(-1) === '{' ? 'name' : 'value';
    } else if (
      (char === '}' && open.at(-1) === '{' && (next === ', or end' || next === 'name or }')) ||
      (char === ']' && open.at(-1) === '[' && (next === ', or end' || next === 'value or ]'))
    ) {
      at += 1;
      open.pop();
      next = ', or end';
    } else if ((next === 'value' || next === 'value or ]') && (char === '{' || char === '[')) {
      at += 1;
      open.push(char);
      next = char === '{' ? 'name or }' : 'value or ]';
    } else if (next === 'value' || next === 'value or ]') {
      number.lastIndex = at;
      const length =
        literals.find((word) => text.startsWith(word, at))?.length ?? number.exec(text)?.[0].length;
      if (length === undefined) return fault('an unexpected character');
      at += length;
      next = ', or end';
    } else return fault('an unexpected character');
  }

  /** Moves `at` past a string. Returns a fault, which is at `at`, or null. */
  function skipString(): string | null {
    for (at += 1; at < text.length; at += 1) {
      const char = text[at]!;
      if (char === '"') {
        at += 1;
        return null;
      }
      if (char < ' ') return 'a control character in a string';
      if (char !== '\\') continue;
      const escaped = text[at + 1];
      if (
        escaped === 'u'
          ? !/^[0-9a-fA-F]{4}$/.test(text.slice(at + 2, at + 6))
          : !escaped || !'"\\/bfnrt'.includes(escaped)
      )
        return at + 1 < text.length ? 'an unknown escape in a string' : 'an early end';
      at += escaped === 'u' ? 5 : 1;
    }
    return 'an early end';
  }
}
