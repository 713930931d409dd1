/** Regular expressions as automata. */
import { show } from '../check-fields.ts';
import {
  type Automaton,
  automatonOf,
  type CharacterRange,
  type CharacterSet,
  charactersOf,
  complement,
  everyCharacter,
  MAX_STATES,
  tooManyStates,
  union,
} from './automaton.ts';
import { type Place, placeOf, SchemaFault, spend } from './schema-fault.ts';

type Part =
  | { type: 'set'; set: CharacterSet }
  | { type: 'sequence' | 'alternatives'; parts: Part[] }
  | { type: 'repeat'; part: Part; min: number; max: number }
  /** The place before the first or after the last character. */
  | { type: 'start' | 'end' };

const between = (from: string, to: string): CharacterRange => ({
  from: from.codePointAt(0)!,
  to: to.codePointAt(0)!,
});
const digits = [between('0', '9')];
const words = union([...digits, between('a', 'z'), between('A', 'Z'), between('_', '_')]);
const spaces = union([
  ...charactersOf('\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff'),
  between('\u2000', '\u200a'),
]);
const lineEnds = charactersOf('\n\r\u2028\u2029');
const ESCAPED_SETS: Readonly<Record<string, CharacterSet>> = {
  d: digits,
  D: complement(digits),
  w: words,
  W: complement(words),
  s: spaces,
  S: complement(spaces),
};
const ESCAPED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', v: '\v', f: '\f', 0: '\0' };

/** Reads an expression that JavaScript accepts. Throws SchemaFault for what no automaton follows. */
class Reader {
  readonly #text: string;
  readonly #place: Place;
  #i = 0;

  constructor(text: string, place: Place) {
    this.#text = text;
    this.#place = place;
  }

  read(): Part {
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    return parts.length === 1 ? parts[0]! : { type: 'alternatives', parts };
  }

  #sequence(): Part {
    const parts: Part[] = [];
    while (this.#i < this.#text.length && !/[|)]/.test(this.#text[this.#i]!)) parts.push(this.#counted());
    return { type: 'sequence', parts };
  }

  #counted(): Part {
    const part = this.#atom();
    const count = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})/.exec(this.#text.slice(this.#i, this.#i + 40));
    if (!count) return part;
    this.#i += count[0].length;
    // Preferring short texts changes nothing about which match.
    this.#take('?');
    const sign = count[0][0]!;
    const most =
      count[2] === '' ? Number(count[1]) : count[3] === '' ? Number.POSITIVE_INFINITY : Number(count[3]);
    if (sign === '{') return { type: 'repeat', part, min: Number(count[1]), max: most };
    return {
      type: 'repeat',
      part,
      min: sign === '+' ? 1 : 0,
      max: sign === '?' ? 1 : Number.POSITIVE_INFINITY,
    };
  }

  #atom(): Part {
    if (this.#take('(')) {
      const opening = /^\?(?::|<[A-Za-z_$][\w$]*>)/.exec(this.#text.slice(this.#i));
      if (opening) this.#i += opening[0].length;
      else if (this.#text[this.#i] === '?') this.#refuse('look-around');
      const inner = this.read();
      this.#take(')');
      return inner;
    }
    if (this.#take('^')) return { type: 'start' };
    if (this.#take('$')) return { type: 'end' };
    if (this.#take('.')) return { type: 'set', set: complement(lineEnds) };
    if (this.#take('[')) return { type: 'set', set: this.#class() };
    if (this.#take('\\')) return { type: 'set', set: this.#escape(false) };
    return { type: 'set', set: charactersOf(this.#next()) };
  }

  #class(): CharacterSet {
    const isNegative = this.#take('^');
    const ranges: CharacterRange[] = [];
    while (this.#i < this.#text.length && !this.#take(']')) {
      const first = this.#classAtom();
      const isRange =
        this.#text[this.#i] === '-' && !/^-(?:\]|$)/.test(this.#text.slice(this.#i, this.#i + 2));
      if (!isRange || !isOne(first)) ranges.push(...first);
      else {
        this.#i++;
        const last = this.#classAtom();
        if (isOne(last)) ranges.push({ from: first[0]!.from, to: last[0]!.to });
        else ranges.push(...first, ...charactersOf('-'), ...last);
      }
    }
    return isNegative ? complement(union(ranges)) : union(ranges);
  }

  #classAtom(): CharacterSet {
    return this.#take('\\') ? this.#escape(true) : charactersOf(this.#next());
  }

  #escape(isInClass: boolean): CharacterSet {
    const sign = this.#next();
    const set = ESCAPED_SETS[sign];
    if (set) return set;
    const code =
      /^(?:x([\da-fA-F]{2})|u([dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2})|u([\da-fA-F]{4})|u\{([\da-fA-F]+)\}|c([A-Za-z]))/.exec(
        sign + this.#text.slice(this.#i, this.#i + 16),
      );
    if (code) {
      this.#i += code[0].length - 1;
      const [, two, pair, four, any, control] = code;
      if (control) return charactersOf(String.fromCodePoint(control.codePointAt(0)! % 32));
      if (pair) return charactersOf(JSON.parse(`"\\u${pair}"`) as string);
      return charactersOf(String.fromCodePoint(Number.parseInt((two ?? four ?? any)!, 16)));
    }
    if (isInClass && sign === 'b') return charactersOf('\b');
    if (/[bB]/.test(sign)) this.#refuse('word borders');
    if (/[1-9k]/.test(sign)) this.#refuse('back references');
    if (/[pP]/.test(sign)) this.#refuse('properties of characters');
    return charactersOf(ESCAPED[sign] ?? sign);
  }

  #refuse(what: string): never {
    throw new SchemaFault(
      `must have a pattern without ${what}${placeOf(this.#place)}, got ${show(this.#text)}; write the characters and their order as classes and groups`,
    );
  }

  #take(sign: string): boolean {
    if (this.#text[this.#i] !== sign) return false;
    this.#i++;
    return true;
  }

  #next(): string {
    const char = String.fromCodePoint(this.#text.codePointAt(this.#i) ?? 0x5c);
    this.#i += char.length;
    return char;
  }
}

const isOne = (set: CharacterSet): boolean => set.length === 1 && set[0]!.from === set[0]!.to;

interface Node {
  /** Nodes at the same place in the text. `only`: at its start, or at its end. */
  same: { to: number; only: 'start' | 'end' | null }[];
  set: CharacterSet;
  next: number;
}

/**
 * The texts that a regular expression matches as a whole or, with `anywhere`, contain a match. Throws SchemaFault.
 */
export function patternAutomaton(pattern: string, place: Place, { anywhere = false } = {}): Automaton {
  if (!isExpression(pattern))
    throw new SchemaFault(`must have a regular expression as pattern${placeOf(place)}, got ${show(pattern)}`);
  const nodes: Node[] = [];
  const add = (set: CharacterSet = []): number => {
    if (nodes.length > 4 * MAX_STATES) throw tooManyStates(place);
    return nodes.push({ same: [], set, next: -1 }) - 1;
  };
  const join = (from: number, to: number, only: 'start' | 'end' | null = null) =>
    nodes[from]!.same.push({ to, only });

  /** Adds the nodes of a part from one on; returns its last. */
  function build(part: Part, from: number): number {
    switch (part.type) {
      case 'set': {
        const node = add(part.set);
        join(from, node);
        nodes[node]!.next = add();
        return nodes[node]!.next;
      }
      case 'sequence':
        return part.parts.reduce((last, each) => build(each, last), from);
      case 'alternatives': {
        const end = add();
        for (const each of part.parts) join(build(each, from), end);
        return end;
      }
      case 'repeat': {
        let last = from;
        for (let i = 0; i < part.min; i++) last = build(part.part, last);
        const end = add();
        if (part.max === Number.POSITIVE_INFINITY) {
          const loop = add();
          join(last, loop);
          join(build(part.part, loop), loop);
          join(loop, end);
          return end;
        }
        for (let i = part.min; i < part.max; i++) {
          join(last, end);
          last = build(part.part, last);
        }
        join(last, end);
        return end;
      }
      default: {
        const end = add();
        join(from, end, part.type);
        return end;
      }
    }
  }

  const start = add();
  const around: Part[] = anywhere ? [anything] : [];
  const part: Part = { type: 'sequence', parts: [...around, new Reader(pattern, place).read(), ...around] };
  const last = build(part, start);

  function closure(from: readonly number[], allowed: 'start' | 'end' | 'both' | null): number[] {
    const found = new Set(from);
    for (const node of found)
      for (const { to, only } of nodes[node]!.same)
        if (only === null || allowed === 'both' || only === allowed) found.add(to);
    return [...found].sort((a, b) => a - b);
  }

  return automatonOf(
    { nodes: closure([start], 'start'), isStart: true },
    (state) => `${state.isStart}${state.nodes}`,
    (state) => {
      const isEnd = closure(state.nodes, state.isStart ? 'both' : 'end').includes(last);
      const moves = state.nodes.flatMap((node) =>
        nodes[node]!.set.map(({ from, to }) => ({ from, to, next: nodes[node]!.next })),
      );
      const cuts = [...new Set(moves.flatMap(({ from, to }) => [from, to + 1]))].sort((a, b) => a - b);
      spend(place, 4 * state.nodes.length + cuts.length * moves.length);
      const edges = cuts.slice(0, -1).flatMap((from, i) => {
        const to = cuts[i + 1]! - 1;
        const nexts = moves.filter((move) => move.from <= from && to <= move.to).map(({ next }) => next);
        return nexts.length === 0
          ? []
          : [{ from, to, next: { nodes: closure(nexts, null), isStart: false } }];
      });
      return { accepts: isEnd, edges };
    },
    place,
  );
}

const anything: Part = {
  type: 'repeat',
  part: { type: 'set', set: everyCharacter },
  min: 0,
  max: Number.POSITIVE_INFINITY,
};

function isExpression(pattern: string): boolean {
  for (const flags of ['u', ''])
    try {
      new RegExp(pattern, flags);
      return true;
    } catch {
      // Without "u" more signs may follow a backslash.
    }
  return false;
}
