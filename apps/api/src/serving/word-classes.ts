import { splitWords } from '@graft/peft-core/text';

/** A word of a text and its most probable class; null for a word without tokens. */
export interface ClassifiedWord {
  word: string;
  label: string | null;
  prob: number | null;
  /** In characters; null for a word of a list. */
  start: number | null;
  end: number | null;
}

/** Successive words of one class. */
export interface Entity {
  label: string;
  text: string;
  prob: number;
  start: number | null;
  end: number | null;
  first_word: number;
  last_word: number;
}

/** The class of words that belong to none, in every tagging scheme. */
const outside = 'O';

/** The words of an input. `values`: the class and its probability of each. Null if they do not fit the input. */
export function wordClasses(
  input: string | readonly string[],
  values: Float32Array,
  classes: readonly string[],
): ClassifiedWord[] | null {
  const words =
    typeof input === 'string' ? placesIn(input) : input.map((word) => ({ word, start: null, end: null }));
  if (values.length !== 2 * words.length) return null;
  return words.map(({ word, start, end }, i) => {
    const [index, prob] = [values[2 * i]!, values[2 * i + 1]!];
    const label = classes[index] ?? null;
    return { word, label, prob: label === null ? null : prob, start, end };
  });
}

/** The words of a text, with offsets in code points. */
function placesIn(text: string) {
  let units = 0;
  let points = 0;
  const pointsAt = (offset: number) => {
    while (units < offset) {
      units += text.codePointAt(units)! > 0xffff ? 2 : 1;
      points++;
    }
    return points;
  };
  return splitWords(text).map(({ word, start, end }) => ({
    word,
    start: pointsAt(start),
    end: pointsAt(end),
  }));
}

/**
 * Joins words to entities: in the schemes with `B-` and `I-`, a `B-` starts a new one; without them, each run of words of one class is one.
 * As transformers' pipeline with `aggregation_strategy="first"`.
 */
export function entitiesOf(words: readonly ClassifiedWord[], input: string | readonly string[]): Entity[] {
  const points = typeof input === 'string' ? [...input] : [];
  const groups: { label: string; first: number; last: number }[] = [];
  let open: (typeof groups)[number] | null = null;
  for (const [i, { label }] of words.entries()) {
    if (label === null || label === outside) {
      open = null;
      continue;
    }
    const [, prefix, name] = /^(?:([BI])-)?(.*)$/s.exec(label)!;
    if (open && open.label === name && prefix !== 'B') open.last = i;
    else {
      open = { label: name!, first: i, last: i };
      groups.push(open);
    }
  }
  return groups.map(({ label, first, last }) => {
    const own = words.slice(first, last + 1);
    const [start, end] = [own[0]!.start, own.at(-1)!.end];
    const text = start === null ? own.map(({ word }) => word).join(' ') : points.slice(start, end!).join('');
    const prob = own.reduce((sum, each) => sum + each.prob!, 0) / own.length;
    return { label, text, prob, start, end, first_word: first, last_word: last };
  });
}
