/** Rules of grammars in XGrammar's EBNF. */
import {
  type Automaton,
  type CharacterRange,
  type CharacterSet,
  LAST_CHARACTER,
  union,
} from './automaton.ts';
import { MAX_STEPS, type Place, spend } from './schema-fault.ts';

/** Length up to which strings have a rule for each number of characters, which XGrammar reads fastest; and the block that longer ones repeat. */
const MAX_CHAIN = 64;
const BLOCK = 32;

/**
 * How characters of a string are written: in JSON's, between quotation marks, or as they are. Each class of EBNF stands for one byte, and
 * one of one byte is written twice: XGrammar 0.1.27 takes classes up to `\xff` as bytes, while negated ones and those with further
 * characters allow bytes that are no UTF-8.
 */
export type TextForm = 'json' | 'raw';

export class GrammarRules {
  /** Steps that the schemas of the grammar may still take. */
  readonly budget: Place['budget'];
  readonly #bodies = new Map<string, string>();
  readonly #names = new Map<string, string>();
  readonly #automata = new Map<string, Automaton>();
  readonly #characters = new Map<string, string[]>();

  constructor(budget: Place['budget'] = { left: MAX_STEPS }) {
    this.budget = budget;
  }

  /** The name of the rule with this body, which is added if there is none. */
  add(body: string): string {
    const known = this.#names.get(body);
    if (known !== undefined) return known;
    const name = this.reserve();
    this.#names.set(body, name);
    this.define(name, body);
    return name;
  }

  /** The name of a rule that may contain itself. */
  reserve(): string {
    const name = `r${this.#bodies.size}`;
    this.#bodies.set(name, '');
    return name;
  }

  define(name: string, body: string): void {
    this.#bodies.set(name, body);
    spend({ path: '', budget: this.budget }, 5 + body.length / 2);
  }

  /** The automaton made by `make` for a key, at its first use. */
  automaton(key: string, make: () => Automaton): Automaton {
    return kept(this.#automata, key, make);
  }

  /** The ways in which a character of a set is written. */
  characters(set: CharacterSet, form: TextForm): string[] {
    return kept(this.#characters, form + set.map(({ from, to }) => `,${from}-${to}`).join(''), () =>
      characterTexts(set, form, this),
    );
  }

  /** The rule made by `write` for a key, at its first use. */
  once(key: string, write: () => string): string {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = this.reserve();
    this.#names.set(key, name);
    this.define(name, write());
    return name;
  }

  grammar(root: string): string {
    return [
      ...Array.from(this.#bodies, ([name, body]) => (body === '' ? [] : `${name} ::= ${body}`)).flat(),
      `root ::= ${root}`,
    ].join('\n');
  }
}

function kept<T>(known: Map<string, T>, key: string, make: () => T): T {
  const value = known.get(key) ?? make();
  known.set(key, value);
  return value;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

export const literal = (text: string): string =>
  `"${text.replace(/["\\\n\r\t]/g, (char) => ESCAPES[char]!)}"`;

/** Bytes as a class. */
function classOf(ranges: readonly CharacterRange[]): string {
  const single = ranges.length === 1 && ranges[0]!.from === ranges[0]!.to;
  const parts = ranges.map(({ from, to }) =>
    from === to ? byteText(from) : `${byteText(from)}-${byteText(to)}`,
  );
  return `[${(single ? [...parts, ...parts] : parts).join('')}]`;
}

const byteText = (byte: number): string =>
  /[\w !#$%&'()*+,./:;<=>?@`{|}~]/.test(String.fromCharCode(byte)) && byte < 128
    ? String.fromCharCode(byte)
    : `\\x${byte.toString(16).padStart(2, '0')}`;

/** The UTF-8 of characters beyond ASCII of a set, as alternatives. */
function beyondAscii(set: CharacterSet): string[] {
  const texts: string[] = [];
  const encoded = (code: number) => [...Buffer.from(String.fromCodePoint(code))];
  function write(from: number, to: number): void {
    if (from > to) return;
    const length = encoded(from).length;
    for (let i = 1; i < length; i++) {
      const rest = (1 << (6 * i)) - 1;
      if ((from & ~rest) === (to & ~rest)) continue;
      if ((from & rest) !== 0) {
        write(from, from | rest);
        write((from | rest) + 1, to);
        return;
      }
      if ((to & rest) !== rest) {
        write(from, (to & ~rest) - 1);
        write(to & ~rest, to);
        return;
      }
    }
    const last = encoded(to);
    texts.push(
      encoded(from)
        .map((byte, i) => classOf([{ from: byte, to: last[i]! }]))
        .join(' '),
    );
  }
  for (const part of UTF8_LENGTHS)
    for (const { from, to } of set) write(Math.max(from, part.from), Math.min(to, part.to));
  return texts;
}

/** Characters that UTF-8 writes with equally many bytes. Surrogates are none. */
const UTF8_LENGTHS: readonly CharacterRange[] = [
  { from: 0x80, to: 0x7ff },
  { from: 0x800, to: 0xd7ff },
  { from: 0xe000, to: 0xffff },
  { from: 0x1_0000, to: LAST_CHARACTER },
];

const hex = '[0-9a-fA-F]';
/** Escapes in JSON of any character; surrogates in pairs only. */
const ANY_ESCAPE = `"\\\\" (["\\x5c/bfnrt] | "u" ([0-9abcefABCEF] ${hex} | [dD] [0-7]) ${hex} ${hex} | "u" [dD] [89abAB] ${hex} ${hex} "\\\\u" [dD] [c-fC-F] ${hex} ${hex})`;

/** The ways in which a character of a set is written. */
function characterTexts(set: CharacterSet, form: TextForm, rules: GrammarRules): string[] {
  const isAny = set.length === 1 && set[0]!.from === 0 && set[0]!.to === LAST_CHARACTER;
  const parts: string[] = [];
  const among = (from: number, to: number) =>
    set
      .map((range) => ({ from: Math.max(range.from, from), to: Math.min(range.to, to) }))
      .filter((range) => range.from <= range.to);
  const raw =
    form === 'raw' ? among(1, 0x7f) : [...among(0x20, 0x21), ...among(0x23, 0x5b), ...among(0x5d, 0x7f)];
  if (raw.length > 0) parts.push(classOf(raw));
  if (form === 'json' && isAny) parts.push(rules.add(ANY_ESCAPE));
  else if (form === 'json') {
    const escaped = [...among(0, 0x1f), ...among(0x22, 0x22), ...among(0x5c, 0x5c)];
    const texts = escaped.flatMap(({ from, to }) =>
      Array.from({ length: to - from + 1 }, (_, i) =>
        literal(JSON.stringify(String.fromCharCode(from + i)).slice(1, -1)),
      ),
    );
    if (texts.length > 0) parts.push(rules.add(texts.join(' | ')));
  }
  const beyond = beyondAscii(set);
  if (beyond.length > 0) parts.push(rules.add(beyond.join(' | ')));
  return parts;
}

/** The texts of an automaton. Its rules end in `end`, so that a mask knows what may follow. */
export function automatonText(
  automaton: Automaton,
  form: TextForm,
  end: string,
  rules: GrammarRules,
): string {
  const key = `${form} ${end} ${JSON.stringify(automaton)}`;
  return rules.once(key, () => {
    const names = automaton.map(() => rules.reserve());
    for (const [i, { accepts, edges }] of automaton.entries()) {
      const moves = [...new Set(edges.map(({ next }) => next))].flatMap((next) => {
        const set = union(edges.filter((edge) => edge.next === next));
        return rules.characters(set, form).map((text) => `${text} ${names[next]}`);
      });
      rules.define(names[i]!, [...(accepts ? [end === '' ? '""' : literal(end)] : []), ...moves].join(' | '));
    }
    return names[0]!;
  });
}

/** Texts of a number of characters of a set. */
export const countedText = (counted: Counted, form: TextForm, end: string, rules: GrammarRules): string =>
  rules.once(`${form} ${end} ${JSON.stringify(counted)}`, () => countedBody(counted, form, end, rules));

interface Counted {
  set: CharacterSet;
  min: number;
  max: number | null;
}

function countedBody({ set, min, max }: Counted, form: TextForm, end: string, rules: GrammarRules): string {
  const one = rules.characters(set, form);
  const ending = end === '' ? '""' : literal(end);
  const chain = (length: number, isOpen: (count: number) => boolean, last: string): string => {
    let next = last;
    for (let count = length - 1; count >= 0; count--)
      next = rules.add(
        [...(isOpen(count) ? [ending] : []), ...one.map((each) => `${each} ${next}`)].join(' | '),
      );
    return next;
  };
  if (max === null) {
    const more = rules.reserve();
    rules.define(more, [ending, ...one.map((each) => `${each} ${more}`)].join(' | '));
    return min > MAX_CHAIN ? `${exactly(min)} ${more}` : chain(min, () => false, more);
  }
  if (max <= MAX_CHAIN) return chain(max, (count) => count >= min, rules.add(ending));
  if (max - min <= MAX_CHAIN) return `${exactly(min)} ${chain(max - min, () => true, rules.add(ending))}`;
  // The rest may be as long as a block less one, so the last block is left out where both would be longer than the maximum.
  const blocks = Math.floor((max - min) / BLOCK);
  const left = max - min - blocks * BLOCK;
  const whole = rules.add(
    Array(BLOCK)
      .fill(`(${one.join(' | ')})`)
      .join(' '),
  );
  const short = (length: number) => chain(length, () => true, rules.add(ending));
  return `${exactly(min)} (${whole}{0,${blocks - 1}} ${short(BLOCK - 1)} | ${whole}{${blocks},${blocks}} ${short(left)})`;

  function exactly(count: number): string {
    if (count === 0) return '""';
    const each = `(${one.join(' | ')})`;
    const block = rules.add(Array(BLOCK).fill(each).join(' '));
    const times = Math.floor(count / BLOCK);
    return [
      ...(times > 0 ? [`${block}{${times},${times}}`] : []),
      ...Array<string>(count % BLOCK).fill(each),
    ].join(' ');
  }
}
