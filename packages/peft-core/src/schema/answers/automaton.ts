/**
 * Deterministic automata over characters (Unicode code points): the texts that patterns, formats, lengths and ranges allow, which can so be
 * intersected. Their number of states is bounded, and a mask of one costs the same wherever a text is.
 */
import { type Place, placeOf, SchemaFault, spend } from './schema-fault.ts';

/** Characters from one code point to another, both included. */
export interface CharacterRange {
  from: number;
  to: number;
}

/** In order, apart from each other. */
export type CharacterSet = readonly CharacterRange[];

export interface AutomatonState {
  accepts: boolean;
  /** In order, apart from each other; other characters end in no text. */
  edges: readonly (CharacterRange & { next: number })[];
}

/** The first state is where texts start. Without states: no text. */
export type Automaton = readonly AutomatonState[];

export const MAX_STATES = 4_096;
export const LAST_CHARACTER = 0x10_ffff;
export const everyCharacter: CharacterSet = [{ from: 0, to: LAST_CHARACTER }];

export function union(ranges: readonly CharacterRange[]): CharacterRange[] {
  const all: CharacterRange[] = [];
  for (const { from, to } of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (last && from <= last.to + 1) last.to = Math.max(last.to, to);
    else all.push({ from, to });
  }
  return all;
}

export function complement(set: CharacterSet): CharacterRange[] {
  let from = 0;
  const gaps = set.map((range) => {
    const gap = { from, to: range.from - 1 };
    from = range.to + 1;
    return gap;
  });
  return [...gaps, { from, to: LAST_CHARACTER }].filter((gap) => gap.from <= gap.to);
}

export const charactersOf = (text: string): CharacterRange[] =>
  union(Array.from(text, (char) => ({ from: char.codePointAt(0)!, to: char.codePointAt(0)! })));

/** An automaton by its states' names; `start` is the first. */
export function automatonOf<T>(
  start: T,
  keyOf: (state: T) => string | number,
  read: (state: T) => { accepts: boolean; edges: readonly (CharacterRange & { next: T })[] },
  place: Place,
): Automaton {
  const numbers = new Map([[keyOf(start), 0]]);
  const waiting = [start];
  const states: AutomatonState[] = [];
  while (states.length < waiting.length) {
    const { accepts, edges } = read(waiting[states.length]!);
    spend(place, 1 + edges.length);
    if (waiting.length > MAX_STATES) throw tooManyStates(place);
    const numbered = edges.map(({ from, to, next }) => {
      const key = keyOf(next);
      if (!numbers.has(key)) {
        numbers.set(key, waiting.length);
        waiting.push(next);
      }
      return { from, to, next: numbers.get(key)! };
    });
    states.push({ accepts, edges: numbered });
  }
  return reduced(states);
}

export const tooManyStates = (place: Place): SchemaFault =>
  new SchemaFault(
    `must have patterns of at most ${MAX_STATES} states each, counted repetitions written out and lengths included; that is exceeded${placeOf(place)}`,
  );

export function intersection(a: Automaton, b: Automaton, place: Place): Automaton {
  if (a.length === 0 || b.length === 0) return [];
  return automatonOf(
    { a: 0, b: 0 },
    (pair) => pair.a * b.length + pair.b,
    (pair) => {
      const [one, other] = [a[pair.a]!, b[pair.b]!];
      const edges: (CharacterRange & { next: { a: number; b: number } })[] = [];
      for (let i = 0, j = 0; i < one.edges.length && j < other.edges.length; ) {
        const [left, right] = [one.edges[i]!, other.edges[j]!];
        const [from, to] = [Math.max(left.from, right.from), Math.min(left.to, right.to)];
        if (from <= to) edges.push({ from, to, next: { a: left.next, b: right.next } });
        if (left.to < right.to) i++;
        else j++;
      }
      return { accepts: one.accepts && other.accepts, edges };
    },
    place,
  );
}

/** Texts of a length, in characters. */
export const textsOfLength = (min: number, max: number | null, place: Place): Automaton =>
  automatonOf(
    0,
    (length) => length,
    (length) => {
      const next = max === null ? Math.min(length + 1, min) : length + 1;
      return { accepts: length >= min, edges: next > (max ?? next) ? [] : [{ ...everyCharacter[0]!, next }] };
    },
    place,
  );

/** Texts that do not contain `part`: a state for each length of its start that the text so far ends with. */
export function textsWithout(part: string, place: Place): Automaton {
  const signs = Array.from(part);
  const nextOf = (state: number, sign: string) => {
    const text = [...signs.slice(0, state), sign];
    let length = Math.min(text.length, signs.length);
    while (signs.slice(0, length).join('') !== text.slice(text.length - length).join('')) length--;
    return length;
  };
  return automatonOf(
    0,
    (state) => state,
    (state) => {
      const known = charactersOf(part).flatMap(({ from, to }) =>
        Array.from({ length: to - from + 1 }, (_, i) => from + i),
      );
      const edges = [
        ...known.map((code) => ({ from: code, to: code, next: nextOf(state, String.fromCodePoint(code)) })),
        ...complement(charactersOf(part)).map((range) => ({ ...range, next: 0 })),
      ];
      const allowed = edges.filter(({ next }) => next < signs.length);
      return { accepts: true, edges: allowed.sort((a, b) => a.from - b.from) };
    },
    place,
  );
}

/** Texts that are none of `names` and do not start with what is beyond its first `depth` characters, for names longer than that. */
export function textsBesides(names: ReadonlySet<string>, depth: number, place: Place): Automaton {
  const known = Array.from(names, (name) => Array.from(name));
  return automatonOf<string[] | null>(
    [],
    (start) => start?.join('') ?? -1,
    (start) => {
      if (start === null) return { accepts: true, edges: [{ ...everyCharacter[0]!, next: null }] };
      const own = known.filter((name) => start.every((sign, i) => sign === name[i]));
      const signs = [...new Set(own.flatMap((name) => name[start.length] ?? []))];
      const barred = new Set(own.map((name) => (name.length > depth ? name[depth - 1] : undefined)));
      const edges = [
        ...signs
          .filter((sign) => start.length + 1 < depth || !barred.has(sign))
          .map((sign) => ({ ...charactersOf(sign)[0]!, next: [...start, sign] })),
        ...complement(charactersOf(signs.join(''))).map((range) => ({ ...range, next: null })),
      ];
      return { accepts: !names.has(start.join('')), edges: edges.sort((a, b) => a.from - b.from) };
    },
    place,
  );
}

export function accepts(automaton: Automaton, text: string): boolean {
  let state = automaton[0];
  for (const char of text) {
    const code = char.codePointAt(0)!;
    const edge = state?.edges.find(({ from, to }) => from <= code && code <= to);
    state = edge && automaton[edge.next];
  }
  return state?.accepts ?? false;
}

/** The same texts with fewer states: without those that lead nowhere, and with one for some that lead to the same. */
function reduced(states: AutomatonState[]): Automaton {
  const sources: number[][] = states.map(() => []);
  for (const [i, { edges }] of states.entries()) for (const { next } of edges) sources[next]!.push(i);
  const waiting = states.flatMap(({ accepts: isEnd }, i) => (isEnd ? [i] : []));
  const useful = new Set(waiting);
  for (let state = waiting.pop(); state !== undefined; state = waiting.pop())
    for (const source of sources[state]!)
      if (!useful.has(source)) {
        useful.add(source);
        waiting.push(source);
      }
  if (!useful.has(0)) return [];
  /** The state that each stands for; from the last, so that chains of equal states meet in one pass. */
  const leaders = states.map((_, i) => i);
  for (let round = 0, merged = true; merged && round < 8; round++) {
    merged = false;
    const known = new Map<string, number>();
    for (let i = states.length - 1; i >= 0; i--) {
      if (leaders[i] !== i || !useful.has(i)) continue;
      const { accepts: isEnd, edges } = states[i]!;
      const kept: (CharacterRange & { next: number })[] = [];
      for (const edge of edges) {
        if (!useful.has(edge.next)) continue;
        let next = edge.next;
        while (leaders[next] !== next) next = leaders[next]!;
        const last = kept.at(-1);
        if (last && last.next === next && last.to + 1 === edge.from) last.to = edge.to;
        else kept.push({ from: edge.from, to: edge.to, next });
      }
      states[i] = { accepts: isEnd, edges: kept };
      // A state that only leads to itself is equal to another such one.
      const key = `${isEnd}${kept.map(({ from, to, next }) => `${from}-${to}:${next === i ? '' : next}`)}`;
      const same = known.get(key);
      if (same === undefined) known.set(key, i);
      else {
        leaders[i] = same;
        merged = true;
      }
    }
  }
  const leaderOf = (state: number) => {
    let leader = state;
    while (leaders[leader] !== leader) leader = leaders[leader]!;
    return leader;
  };
  const order = [leaderOf(0)];
  const numbers = new Map([[order[0]!, 0]]);
  const renumbered: AutomatonState[] = [];
  while (renumbered.length < order.length) {
    const { accepts: isEnd, edges } = states[order[renumbered.length]!]!;
    const own = edges
      .filter(({ next }) => useful.has(next))
      .map(({ from, to, next }) => {
        const leader = leaderOf(next);
        if (!numbers.has(leader)) {
          numbers.set(leader, order.length);
          order.push(leader);
        }
        return { from, to, next: numbers.get(leader)! };
      });
    renumbered.push({ accepts: isEnd, edges: own });
  }
  return renumbered;
}
