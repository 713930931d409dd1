// `<tool_call><function=NAME><parameter=KEY>VALUE</parameter>…</function></tool_call>`: strings as they are, other values as JSON.
import type { Tool } from '../message.ts';
import type { CallBody, CallState } from './json-call.ts';
import { MarkedCalls } from './marked-calls.ts';
import { propertiesConstraint } from './properties-constraint.ts';
import {
  type ConstraintFormat,
  callTags,
  type JsonSchema,
  type PieceSink,
  parametersOf,
  type ToolStyle,
} from './tool-style.ts';

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';
/** Maximum length of a call. */
const MAX_HELD = 1_048_576;

const FUNCTION = /^\s*<function=([^>\n]+)>\s*([\s\S]*?)\s*(?:<\/function>)?\s*$/;
const PARAMETER = /<parameter=([^>\n]+)>\n?([\s\S]*?)\n?<\/parameter>/g;

/** Reads one call, which ends with its closing mark. */
class TaggedCall implements CallBody {
  readonly #sink: PieceSink;
  readonly #tools: readonly Tool[];
  #held = '';

  constructor(sink: PieceSink, tools: readonly Tool[]) {
    this.#sink = sink;
    this.#tools = tools;
  }

  push(char: string): CallState {
    this.#held += char;
    if (this.#held.length > MAX_HELD) return 'failed';
    if (char !== '>' || !this.#held.endsWith(CLOSE)) return 'more';
    const [, name, body] = FUNCTION.exec(this.#held.slice(0, -CLOSE.length)) ?? [];
    if (name === undefined || body === undefined) return 'failed';
    const left = body.replace(PARAMETER, '').trim();
    if (left !== '') return 'failed';
    const tool = this.#tools.find((each) => each.function.name === name);
    const { properties } = tool ? parametersOf(tool) : {};
    const values = [...body.matchAll(PARAMETER)].map(([, key, text]) => {
      const schema = (properties as Record<string, unknown> | undefined)?.[key!];
      return [key!, parameterValue(text!, schema)] as const;
    });
    this.#sink.startCall(name);
    this.#sink.addArguments(JSON.stringify(Object.fromEntries(values)));
    return 'done';
  }
}

/** A parameter's value: JSON, unless its schema allows only strings or the text is no JSON. */
function parameterValue(text: string, schema: unknown): unknown {
  if (typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'string')
    return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export const taggedParameters: ToolStyle = {
  name: 'tagged-parameters',
  isUsedBy: (template) =>
    template.includes(OPEN) && template.includes('<function=') && template.includes('<parameter='),
  marks: [OPEN, CLOSE],
  reader: (tools, out) =>
    new MarkedCalls({ open: OPEN, close: CLOSE, body: (sink) => new TaggedCall(sink, tools) }, out),
  constraint: (options) => ({
    type: 'calls',
    tags: callTags(
      options,
      (name) => ({ begin: `${OPEN}\n<function=${name}>\n`, end: `</function>\n${CLOSE}` }),
      (schema) =>
        propertiesConstraint(schema, {
          assign: (key) => `<parameter=${key}>\n`,
          separator: '',
          formOf: (each) => ({
            type: 'sequence',
            elements: [valueConstraint(each), { type: 'const_string', value: '\n</parameter>\n' }],
          }),
        }),
    ),
    separator: '\n',
    several: options.parallel,
  }),
};

/** Text for strings, without the start of a mark, and JSON for other values. */
function valueConstraint(schema: JsonSchema): ConstraintFormat {
  if (typeof schema === 'boolean' || schema.type !== 'string')
    return { type: 'json_schema', json_schema: schema };
  if (!Array.isArray(schema.enum)) return { type: 'grammar', grammar: 'root ::= [^<]*' };
  return {
    type: 'or',
    elements: schema.enum.map((value) => ({ type: 'const_string', value: String(value) })),
  };
}
