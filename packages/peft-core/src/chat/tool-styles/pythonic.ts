// `[f(a=1, b="x"), g()]`, between marks or as the whole answer.
import type { FieldForm, ValueForm } from '../../schema/answers/answer-grammar.ts';
import type { Tool } from '../message.ts';
import { type LiteralForm, LiteralReader, NotLiteral } from './literals.ts';
import { type CallBody, type CallState, MAX_CALL, MarkedCalls } from './marked-calls.ts';
import { HeldText } from './marked-text.ts';
import { callTags, NAME_SIGNS, type PieceSink, type TextReader, type ToolStyle } from './tool-style.ts';

const OPEN = '<|tool_call_start|>';
const CLOSE = '<|tool_call_end|>';
const NAME = new RegExp(`${NAME_SIGNS}+`, 'y');
const KEY = /[^\s=(),]+/y;
const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  '0': '\0',
  '\n': '',
};

/** Python's values, and JSON's. */
export const pythonLiterals: LiteralForm = {
  words: { True: 'true', False: 'false', None: 'null', true: 'true', false: 'false', null: 'null' },
  bareKey: null,
  string(text, at) {
    const quote = text[at];
    if (quote !== '"' && quote !== "'") return null;
    let value = '';
    for (let i = at + 1; i < text.length; i++) {
      const char = text[i]!;
      if (char === quote) return { value, end: i + 1 };
      if (char !== '\\') {
        value += char;
        continue;
      }
      const next = text[++i] ?? '';
      const code = { x: 2, u: 4, U: 8 }[next];
      if (code === undefined) value += ESCAPES[next] ?? (/["'\\/]/.test(next) ? next : `\\${next}`);
      else {
        const digits = text.slice(i + 1, i + 1 + code);
        const point =
          /^[\da-fA-F]+$/.test(digits) && digits.length === code ? Number.parseInt(digits, 16) : -1;
        if (point < 0 || point > 0x10ffff) return null;
        value += next === 'U' ? String.fromCodePoint(point) : String.fromCharCode(point);
        i += code;
      }
    }
    return null;
  },
};

interface Call {
  name: string;
  arguments: string;
}

/** The calls of a whole list; null for another text. */
function callsIn(text: string): Call[] | null {
  const reader = new LiteralReader(text, pythonLiterals);
  try {
    reader.expect('[');
    const calls: Call[] = [];
    do {
      const name = reader.name(NAME);
      reader.expect('(');
      calls.push({ name, arguments: reader.fields(')', 0, () => reader.name(KEY), '=') });
    } while (reader.skip(','));
    reader.expect(']');
    return reader.isAtEnd ? calls : null;
  } catch (error) {
    if (error instanceof NotLiteral) return null;
    throw error;
  }
}

function write(calls: readonly Call[], sink: PieceSink): void {
  for (const { name, arguments: text } of calls) {
    sink.startCall(name);
    sink.addArguments(text);
  }
}

class MarkedList implements CallBody {
  readonly #sink: PieceSink;
  readonly #held = new HeldText();

  constructor(sink: PieceSink) {
    this.#sink = sink;
  }

  push(char: string): CallState {
    this.#held.add(char);
    if (char !== '>' || !this.#held.endsWith(CLOSE)) return 'more';
    const calls = callsIn(this.#held.text.slice(0, -CLOSE.length));
    if (!calls) return 'failed';
    write(calls, this.#sink);
    return 'done';
  }
}

/** Reads an answer that is a list of calls of these tools. */
class BareList implements TextReader {
  readonly #sink: PieceSink;
  readonly #starts: readonly string[];
  #held: string | null = '';

  constructor(tools: readonly Tool[], sink: PieceSink) {
    this.#sink = sink;
    this.#starts = tools.map((tool) => `[${tool.function.name}(`);
  }

  push(text: string): void {
    if (this.#held === null) {
      this.#sink.content(text);
      return;
    }
    this.#held += text;
    const start = this.#held.trimStart().slice(0, MAX_CALL);
    const canBeList = this.#starts.some((each) => each.startsWith(start) || start.startsWith(each));
    if (canBeList && this.#held.length <= MAX_CALL) return;
    this.#sink.content(this.#held);
    this.#held = null;
  }

  end(): void {
    if (this.#held === null) return;
    const calls = callsIn(this.#held);
    if (calls) {
      write(calls, this.#sink);
      this.#sink.endCall();
    } else this.#sink.content(this.#held);
    this.#held = null;
  }
}

const fields: FieldForm = { before: '', name: 'raw', assign: '=', end: '', separator: ', ' };
/** Templates write objects as JSON. A string of JSON is one of Python, too. */
const values: ValueForm = {
  words: { true: 'True', false: 'False', null: 'None' },
  text: 'json',
  list: { open: '[', separator: ', ', close: ']' },
  object: null,
};

export const pythonic: ToolStyle = {
  name: 'pythonic',
  isUsedBy: (template) => template.includes(OPEN) || /\[func(?:tion)?_?(?:name)?1?\(/.test(template),
  marks: [OPEN, CLOSE],
  reader: (tools, out, template) =>
    template.includes(OPEN)
      ? new MarkedCalls({ opens: [OPEN], close: null, body: (sink) => new MarkedList(sink) }, out)
      : new BareList(tools, out),
  constraint(options, template) {
    const [open, close] = template.includes(OPEN) ? [`${OPEN}[`, `]${CLOSE}`] : ['[', ']'];
    const tags = callTags(
      options,
      (name) => ({ begin: `${name}(`, end: ')' }),
      (json_schema) => ({ type: 'fields', json_schema, fields, values }),
    );
    return {
      type: 'sequence',
      elements: [
        { type: 'const_string', value: open },
        { type: 'calls', tags, separator: ', ', several: options.parallel },
        { type: 'const_string', value: close },
      ],
    };
  },
};
