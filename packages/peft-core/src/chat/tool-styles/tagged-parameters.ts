// `<tool_call><function=NAME><parameter=KEY>VALUE</parameter>…</function></tool_call>`: strings as they are, lists and objects as JSON.
import type { FieldForm, ValueForm } from '../../schema/answers/answer-grammar.ts';
import { schemaPart } from '../../schema/answers/flat-schema.ts';
import { isRecord } from '../../schema/check-fields.ts';
import { ChatTemplate } from '../chat-template.ts';
import type { Tool } from '../message.ts';
import { LiteralReader, NotLiteral } from './literals.ts';
import { type CallBody, type CallState, MarkedCalls } from './marked-calls.ts';
import { HeldText } from './marked-text.ts';
import { pythonLiterals } from './pythonic.ts';
import { callTags, type PieceSink, parametersOf, type ToolStyle } from './tool-style.ts';

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';
const FUNCTION = '<function=';
const FUNCTION_END = '</function>';
const PARAMETER = '<parameter=';
const PARAMETER_END = '</parameter>';
/** Maximum length of a mark with a name. */
const MAX_MARK = 512;
/** Maximum number of references that lead from one to the next. */
const MAX_REFERENCES = 16;

const NAMED = /^<(?:function|parameter)=([^>\n]+)>$/;

/** Reads the calls between two marks, from mark to mark. */
class TaggedCalls implements CallBody {
  readonly #sink: PieceSink;
  readonly #tools: readonly Tool[];
  #state: 'before' | 'in call' | 'in value' = 'before';
  #name = '';
  #fields: { key: string; text: string }[] = [];
  #key = '';
  /** The current value with its closing mark. */
  #value = new HeldText();
  /** The current value may continue: its start is on a separate line, and its closing mark is not. */
  #isUnsure = false;
  /** Spaces before the current mark, and the mark so far. */
  #space = '';
  #mark = '';

  constructor(sink: PieceSink, tools: readonly Tool[]) {
    this.#sink = sink;
    this.#tools = tools;
  }

  push(char: string): CallState {
    if (this.#state === 'in value') return this.#inValue(char);
    if (this.#mark === '' && /\s/.test(char)) {
      this.#space += char;
      return 'more';
    }
    this.#mark += char;
    const mark = this.#mark;
    const marks = this.#state === 'before' ? [FUNCTION] : [PARAMETER, FUNCTION_END, CLOSE];
    const isOne = marks.some(
      (each) => each.startsWith(mark) || (each.endsWith('=') && mark.startsWith(each)),
    );
    if (!isOne || mark.length > MAX_MARK) return this.#resume();
    if (char !== '>') return 'more';
    this.#endValue();
    if (mark === FUNCTION_END || mark === CLOSE) return this.#end(mark);
    const name = NAMED.exec(mark)?.[1];
    if (name === undefined) return 'failed';
    if (this.#state === 'before') this.#name = name;
    else this.#key = name;
    this.#state = this.#state === 'before' ? 'in call' : 'in value';
    return 'more';
  }

  #inValue(char: string): CallState {
    const isFirst = this.#value.text === '';
    this.#value.add(char);
    if (isFirst) this.#isUnsure = char === '\n';
    if (char === '>' && this.#value.endsWith(PARAMETER_END)) this.#state = 'in call';
    return 'more';
  }

  /** Adds the value before a mark, if there is one. */
  #endValue(): void {
    this.#space = '';
    this.#mark = '';
    const { text } = this.#value;
    if (text === '') return;
    const value = text.slice(0, -PARAMETER_END.length).replace(/^\n/, '').replace(/\n$/, '');
    this.#fields.push({ key: this.#key, text: value });
    this.#value = new HeldText();
  }

  /** Continues a value that did not end where it seemed to. */
  #resume(): CallState {
    const isOver = this.#value.endsWith(`\n${PARAMETER_END}`) || !this.#isUnsure;
    if (this.#state === 'before' || isOver) return 'failed';
    for (const char of this.#space + this.#mark) this.#value.add(char);
    this.#space = '';
    this.#mark = '';
    this.#state = 'in value';
    return 'more';
  }

  #end(mark: string): CallState {
    const tool = this.#tools.find((each) => each.function.name === this.#name);
    const schema = tool ? parametersOf(tool) : {};
    const { properties = {} } = schema as { properties?: Readonly<Record<string, unknown>> };
    const fields = this.#fields.map(
      ({ key, text }) => `${JSON.stringify(key)}: ${valueText(text, properties[key], schema)}`,
    );
    this.#sink.startCall(this.#name);
    this.#sink.addArguments(`{${fields.join(', ')}}`);
    this.#fields = [];
    this.#state = 'before';
    return mark === CLOSE ? 'done' : 'call';
  }
}

/**
 * The JSON text of a parameter's value, by the types that its schema allows: JSON, or as Python writes it. A text of none of them is a
 * string.
 */
function valueText(text: string, schema: unknown, root: Readonly<Record<string, unknown>>): string {
  const string = JSON.stringify(text);
  if (isRecord(schema) && Array.isArray(schema.enum) && schema.enum.includes(text)) return string;
  const types = new Set(typesOf(schema, root));
  const value = text.trim();
  if (types.size === 0 && value in WORDS) return WORDS[value]!;
  const json = isJson(value) ? value : types.size === 0 ? null : pythonValue(value);
  if (json === null) return string;
  const type = typeOf(json);
  if (types.size === 0) return json;
  const isInteger = type === 'number' && types.has('integer') && Number.isInteger(Number(json));
  return type !== 'string' && (types.has(type) || isInteger) ? json : string;
}

const WORDS: Readonly<Record<string, string>> = { True: 'true', False: 'false', None: 'null' };

/** Types that a schema allows; none: any. */
function typesOf(schema: unknown, root: Readonly<Record<string, unknown>>, depth = 0): string[] {
  if (!isRecord(schema) || depth > MAX_REFERENCES) return [];
  const { $ref, type, enum: choices, const: only, anyOf, oneOf, allOf } = schema;
  if (typeof $ref === 'string') return typesOf(schemaPart(root, $ref), root, depth + 1);
  if (type !== undefined) return [type].flat() as string[];
  const values = Array.isArray(choices) ? choices : only === undefined ? null : [only];
  if (values) return values.map((each) => typeOf(JSON.stringify(each)));
  const parts = [anyOf, oneOf, allOf].find(Array.isArray);
  return parts?.flatMap((each) => typesOf(each, root, depth + 1)) ?? [];
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The JSON of a value that is written as in Python; null for other texts. */
function pythonValue(text: string): string | null {
  const reader = new LiteralReader(text, pythonLiterals);
  try {
    const json = reader.value();
    return reader.isAtEnd ? json : null;
  } catch (error) {
    if (error instanceof NotLiteral) return null;
    throw error;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  '{': 'object',
  '[': 'array',
  '"': 'string',
  t: 'boolean',
  f: 'boolean',
  n: 'null',
};
const typeOf = (json: string): string => TYPES[json[0]!] ?? 'number';

const fields: FieldForm = {
  before: PARAMETER,
  name: 'raw',
  assign: '>\n',
  end: `\n${PARAMETER_END}\n`,
  separator: '',
};

const valuesOf = (words: ValueForm['words']): ValueForm => ({
  words,
  text: { open: '', close: '', barred: PARAMETER_END },
  list: null,
  object: null,
});

const JSON_WORDS = { true: 'true', false: 'false', null: 'null' };
const PYTHON_WORDS = { true: 'True', false: 'False', null: 'None' };

/** Maximum number of templates for which the words are known. */
const MAX_KNOWN = 16;
const known = new Map<string, ValueForm['words']>();

/** How a template writes truth values and null as parameters: many write them as Python does. */
function wordsOf(template: string): ValueForm['words'] {
  const words = known.get(template) ?? (writesTrue(template) ? PYTHON_WORDS : JSON_WORDS);
  known.delete(template);
  known.set(template, words);
  const [oldest] = known.keys();
  if (known.size > MAX_KNOWN) known.delete(oldest!);
  return words;
}

function writesTrue(template: string): boolean {
  const called = { name: 'f', arguments: { flag: true } };
  const tools: Tool[] = [
    {
      type: 'function',
      function: { name: 'f', parameters: { type: 'object', properties: { flag: { type: 'boolean' } } } },
    },
  ];
  try {
    const text = new ChatTemplate(template, {}).render(
      [
        { role: 'user', content: 'a' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [{ id: 'call00001', type: 'function', function: called }],
        },
      ],
      { tools },
    );
    return /<parameter=flag>\s*True/.test(text);
  } catch {
    return false;
  }
}

export const taggedParameters: ToolStyle = {
  name: 'tagged-parameters',
  isUsedBy: (template) =>
    template.includes(OPEN) && template.includes(FUNCTION) && template.includes(PARAMETER),
  marks: [OPEN, CLOSE],
  reader: (tools, out) =>
    new MarkedCalls(
      { opens: [OPEN], close: CLOSE, restart: FUNCTION, body: (sink) => new TaggedCalls(sink, tools) },
      out,
    ),
  constraint(options, template) {
    const values = valuesOf(wordsOf(template));
    return {
      type: 'calls',
      tags: callTags(
        options,
        (name) => ({ begin: `${OPEN}\n${FUNCTION}${name}>\n`, end: `${FUNCTION_END}\n${CLOSE}` }),
        (json_schema) => ({ type: 'fields', json_schema, fields, values }),
      ),
      separator: '\n',
      several: options.parallel,
    };
  },
};
