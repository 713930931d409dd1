// `<|tool_call>call:NAME{key:<|"|>text<|"|>,other:1}<tool_call|>`: keys are bare, and a mark is the quote of strings.
import type { FieldForm, ValueForm } from '../../schema/answers/answer-grammar.ts';
import { type LiteralForm, LiteralReader, NotLiteral } from './literals.ts';
import { type CallBody, type CallState, MarkedCalls } from './marked-calls.ts';
import { HeldText } from './marked-text.ts';
import { callTags, NAME_SIGNS, type PieceSink, type ToolStyle } from './tool-style.ts';

const OPEN = '<|tool_call>';
const CLOSE = '<tool_call|>';
const QUOTE = '<|"|>';

const NAME = new RegExp(`${NAME_SIGNS}+`, 'y');
const KEY = /[^\s:,{}[\]<>]+/y;

const literals: LiteralForm = {
  words: { true: 'true', false: 'false', null: 'null', None: 'null' },
  bareKey: KEY,
  string(text, at) {
    if (!text.startsWith(QUOTE, at)) return null;
    const end = text.indexOf(QUOTE, at + QUOTE.length);
    return end === -1 ? null : { value: text.slice(at + QUOTE.length, end), end: end + QUOTE.length };
  },
};

class BracedCalls implements CallBody {
  readonly #sink: PieceSink;
  readonly #held = new HeldText();
  #isQuoted = false;

  constructor(sink: PieceSink) {
    this.#sink = sink;
  }

  push(char: string): CallState {
    this.#held.add(char);
    if (char !== '>') return 'more';
    if (this.#held.endsWith(QUOTE)) this.#isQuoted = !this.#isQuoted;
    if (this.#isQuoted || !this.#held.endsWith(CLOSE)) return 'more';
    const reader = new LiteralReader(this.#held.text.slice(0, -CLOSE.length), literals);
    try {
      do {
        reader.expect('call:');
        this.#sink.startCall(reader.name(NAME));
        this.#sink.addArguments(reader.object());
      } while (!reader.isAtEnd);
      return 'done';
    } catch (error) {
      if (error instanceof NotLiteral) return 'failed';
      throw error;
    }
  }
}

const fields: FieldForm = { before: '', name: 'raw', assign: ':', end: '', separator: ',' };
const values: ValueForm = {
  words: { true: 'true', false: 'false', null: 'null' },
  text: { open: QUOTE, close: QUOTE, barred: QUOTE },
  list: { open: '[', separator: ',', close: ']' },
  object: { ...fields, open: '{', close: '}' },
};

export const braces: ToolStyle = {
  name: 'braces',
  isUsedBy: (template) => template.includes(`${OPEN}call:`),
  marks: [OPEN, CLOSE, QUOTE],
  ends: ['<|tool_response>'],
  reader: (_tools, out) =>
    new MarkedCalls({ opens: [OPEN], close: null, body: (sink) => new BracedCalls(sink) }, out),
  constraint: (options) => ({
    type: 'calls',
    tags: callTags(
      options,
      (name) => ({ begin: `${OPEN}call:${name}{`, end: `}${CLOSE}` }),
      (json_schema) => ({ type: 'fields', json_schema, fields, values }),
    ),
    separator: '',
    several: options.parallel,
  }),
};
