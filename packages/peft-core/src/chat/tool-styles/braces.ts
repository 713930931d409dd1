// `<|tool_call>call:NAME{key:<|"|>text<|"|>,other:1}<tool_call|>`: keys are bare, and a mark is the quote of strings.
import type { CallBody, CallState } from './json-call.ts';
import { type LiteralForm, LiteralReader, NotLiteral } from './literals.ts';
import { MarkedCalls } from './marked-calls.ts';
import { propertiesConstraint } from './properties-constraint.ts';
import {
  type ConstraintFormat,
  callTags,
  type JsonSchema,
  type PieceSink,
  type ToolStyle,
} from './tool-style.ts';

const OPEN = '<|tool_call>';
const CLOSE = '<tool_call|>';
const QUOTE = '<|"|>';
/** Maximum length of a call. */
const MAX_HELD = 1_048_576;

const NAME = /[A-Za-z_][\w.-]*/y;
const KEY = /[^\s:,{}[\]<>]+/y;

const form: LiteralForm = {
  words: { true: true, false: false, null: null, None: null },
  bareKey: KEY,
  string(text, at) {
    if (!text.startsWith(QUOTE, at)) return null;
    const end = text.indexOf(QUOTE, at + QUOTE.length);
    return end === -1 ? null : { value: text.slice(at + QUOTE.length, end), end: end + QUOTE.length };
  },
};

class BracedCall implements CallBody {
  readonly #sink: PieceSink;
  #held = '';

  constructor(sink: PieceSink) {
    this.#sink = sink;
  }

  push(char: string): CallState {
    this.#held += char;
    if (this.#held.length > MAX_HELD) return 'failed';
    if (char !== '>' || !this.#held.endsWith(CLOSE)) return 'more';
    const reader = new LiteralReader(this.#held.slice(0, -CLOSE.length), form);
    try {
      reader.expect('call:');
      const name = reader.name(NAME);
      const values = reader.value();
      if (!reader.isAtEnd || typeof values !== 'object' || values === null || Array.isArray(values))
        return 'failed';
      this.#sink.startCall(name);
      this.#sink.addArguments(JSON.stringify(values));
      return 'done';
    } catch (error) {
      if (error instanceof NotLiteral) return 'failed';
      throw error;
    }
  }
}

/** Values by their schema as far as strings, choices, numbers and truth values go; objects and lists may hold anything. */
const VALUES = `root ::= value
value ::= string | number | "true" | "false" | "null" | list | object
string ::= "<|\\"|>" [^<]* "<|\\"|>"
number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,15})?
list ::= "[" (value ("," value)*)? "]"
object ::= "{" (key ":" value ("," key ":" value)*)? "}"
key ::= [A-Za-z_] [A-Za-z0-9_]*
`;
const ROOTS: Readonly<Record<string, string>> = {
  string: 'string',
  integer: '"-"? ("0" | [1-9] [0-9]{0,15})',
  number: 'number',
  boolean: '"true" | "false"',
  null: '"null"',
  array: 'list',
  object: 'object',
};

function valueConstraint(schema: JsonSchema): ConstraintFormat {
  const {
    type,
    enum: choices,
    const: only,
  } = typeof schema === 'boolean' ? ({} as Record<string, unknown>) : schema;
  const all = Array.isArray(choices) ? choices : only === undefined ? [] : [only];
  const texts = all.filter((each) => typeof each !== 'object' || each === null).map(literalOf);
  if (texts.length > 0 && texts.length === all.length)
    return { type: 'or', elements: texts.map((value) => ({ type: 'const_string', value })) };
  const root = typeof type === 'string' ? ROOTS[type] : undefined;
  return { type: 'grammar', grammar: VALUES.replace('root ::= value', `root ::= ${root ?? 'value'}`) };
}

const literalOf = (value: unknown): string =>
  typeof value === 'string' ? QUOTE + value + QUOTE : String(value);

export const braces: ToolStyle = {
  name: 'braces',
  isUsedBy: (template) => template.includes(`${OPEN}call:`),
  marks: [OPEN, CLOSE, QUOTE],
  ends: ['<|tool_response>'],
  reader: (_tools, out) =>
    new MarkedCalls({ open: OPEN, close: null, body: (sink) => new BracedCall(sink) }, out),
  constraint: (options) => ({
    type: 'calls',
    tags: callTags(
      options,
      (name) => ({ begin: `${OPEN}call:${name}{`, end: `}${CLOSE}` }),
      (schema) =>
        propertiesConstraint(schema, {
          assign: (key) => `${key}:`,
          separator: ',',
          formOf: valueConstraint,
        }),
    ),
    separator: '',
    several: options.parallel,
  }),
};
