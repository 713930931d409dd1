/** A part of a text; whether the pattern matches it. Matches may be empty. */
interface Part {
  from: number;
  to: number;
  isMatch: boolean;
}

/** How a Split divides a text at the matches of its pattern; names as in tokenizer.json, in lower case. */
export type SplitBehaviour = 'isolated' | 'removed' | 'contiguous' | 'mergedwithprevious' | 'mergedwithnext';

/** Divides a text as `NormalizedString::split` of the Rust crate does. `regex`: global. */
export function divide(
  text: string,
  regex: RegExp,
  { behaviour, invert = false }: { behaviour: SplitBehaviour; invert?: boolean },
): string[] {
  const parts = partsOf(text, regex);
  if (invert) for (const part of parts) part.isMatch = !part.isMatch;
  return join(parts, behaviour).flatMap(({ from, to }) => (from === to ? [] : [text.slice(from, to)]));
}

function partsOf(text: string, regex: RegExp): Part[] {
  const parts: Part[] = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(regex)) {
    if (index > from) parts.push({ from, to: index, isMatch: false });
    from = index + found.length;
    parts.push({ from: index, to: from, isMatch: true });
  }
  if (from < text.length) parts.push({ from, to: text.length, isMatch: false });
  return parts;
}

function join(parts: readonly Part[], behaviour: SplitBehaviour): Part[] {
  switch (behaviour) {
    case 'isolated':
      return [...parts];
    case 'removed':
      return parts.filter(({ isMatch }) => !isMatch);
    case 'contiguous':
      return joined(parts, (part, before) => part.isMatch === (before?.isMatch ?? false));
    case 'mergedwithprevious':
      return joined(parts, ({ isMatch }, before) => isMatch && !(before?.isMatch ?? false));
    case 'mergedwithnext': {
      const mirrored = (each: Part): Part => ({ from: -each.to, to: -each.from, isMatch: each.isMatch });
      const backwards = parts.map(mirrored).reverse();
      return joined(backwards, ({ isMatch }, before) => isMatch && !(before?.isMatch ?? false))
        .map(mirrored)
        .reverse();
    }
  }
}

/** Joins each part with those before it, where `joins` is true for the part and the one before it. */
function joined(parts: readonly Part[], joins: (part: Part, before: Part | undefined) => boolean): Part[] {
  const all: Part[] = [];
  for (const [i, part] of parts.entries()) {
    const last = all.at(-1);
    if (last && joins(part, parts[i - 1])) last.to = part.to;
    else all.push({ from: part.from, to: part.to, isMatch: part.isMatch });
  }
  return all;
}
