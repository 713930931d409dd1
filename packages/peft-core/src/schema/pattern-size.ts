/**
 * Number of states of a regular expression with its counted repetitions expanded, `(ab){3}` as `ababab`: proportional to the cost of
 * compiling it, and of matching each character. Computed without compiling, and never too small; invalid syntax is counted in some way.
 */
export function expandedSize(pattern: string): number {
  // Sizes of the enclosing open groups, and of the last atom of each, which a repetition multiplies.
  const open: { size: number; atom: number }[] = [{ size: 1, atom: 0 }];
  const add = (atom: number) => {
    const group = open.at(-1)!;
    group.size += atom;
    group.atom = atom;
  };
  for (let i = 0; i < pattern.length; i++) {
    const sign = pattern[i]!;
    if (sign === '\\') {
      i++;
      add(1);
    } else if (sign === '[') {
      const end = endOfClass(pattern, i);
      // A class may consist of many ranges, which are searched for each character.
      add(1 + Math.ceil((end - i) / 8));
      i = end;
    } else if (sign === '(') {
      open.push({ size: 2, atom: 0 });
    } else if (sign === ')' && open.length > 1) {
      add(open.pop()!.size);
    } else if (sign === '{') {
      const count = /^\{(\d{1,6})(?:,(\d{0,6}))?\}/.exec(pattern.slice(i, i + 16));
      if (!count) {
        add(1);
        continue;
      }
      i += count[0].length - 1;
      const times = Math.max(Number(count[1]), Number(count[2] || 0), 1);
      const group = open.at(-1)!;
      const { atom } = group;
      group.size += (atom + 1) * times - atom;
      group.atom = (atom + 1) * times;
    } else if (sign === '*' || sign === '+' || sign === '?') {
      const group = open.at(-1)!;
      group.size += 1;
      group.atom += 1;
    } else add(1);
  }
  return open.reduce((sum, { size }) => sum + size, 0);
}

/** Index of the end of the character class that starts at `start`. */
export function endOfClass(pattern: string, start: number): number {
  let i = start + 1;
  if (pattern[i] === '^') i++;
  // A closing bracket in first position is an ordinary character.
  if (pattern[i] === ']') i++;
  for (; i < pattern.length && pattern[i] !== ']'; i++) {
    if (pattern[i] === '\\') i++;
  }
  return i;
}
