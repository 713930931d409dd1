import { isRecord, show } from '../schema/check-fields.ts';
import {
  type ExactJson,
  exactText,
  namesOf,
  objectOf,
  parseJson,
  readExact,
  writeExact,
} from '../schema/exact-json.ts';
import { jsonExtent } from '../schema/json-extent.ts';
import { nearest } from '../schema/nearest.ts';
import type { Tool, ToolCall } from './message.ts';
import { type FieldFault, readCalled } from './message-fields.ts';

const MAX_TOOLS = 128;
/** Maximum number of calls in one message: that of OpenAI's API. */
const MAX_CALLS = 128;
/** Limits of tools as JSON text. */
const MAX_DEPTH = 64;
const MAX_VALUES = 24_000;
/** Names of tools, of 1 to 128 characters. */
export const TOOL_NAME = /^[a-zA-Z0-9_.:/-]{1,128}$/;

/**
 * The tools of a line or a request, a list or its JSON text, or the first fault. Null, an empty text and an empty list are no tools.
 * Templates receive all other fields of a tool in their order; those that are null are absent.
 */
export function readTools(value: unknown): Tool[] | FieldFault {
  const list = typeof value === 'string' ? listIn(value) : (value ?? []);
  if (typeof list === 'string') return { field: 'tools', fault: list };
  if (!Array.isArray(list))
    return { field: 'tools', fault: `must be a list or its JSON text, got ${show(value)}` };
  if (list.length > MAX_TOOLS)
    return { field: 'tools', fault: `must be at most ${MAX_TOOLS} tools, got ${list.length}` };
  const tools: Tool[] = [];
  for (const [i, each] of list.entries()) {
    const tool = readTool(each, `tools[${i}]`);
    if ('fault' in tool) return tool;
    const { name } = tool.function;
    if (tools.some((other) => other.function.name === name))
      return {
        field: `tools[${i}].function.name`,
        fault: `must differ from those of other tools, got ${show(name)} twice`,
      };
    tools.push(tool);
  }
  return tools;
}

/** The value of a list's JSON text, or its fault. */
function listIn(text: string): unknown[] | string {
  if (text.trim() === '') return [];
  const { depth, values } = jsonExtent(text);
  if (depth > MAX_DEPTH) return `must nest at most ${MAX_DEPTH} levels`;
  if (values > MAX_VALUES) return `must have at most ${MAX_VALUES.toLocaleString('en')} values`;
  try {
    const list = parseJson(text, 'tools');
    if (Array.isArray(list)) return list;
  } catch {
    // The fault is the same.
  }
  return `must be a list or its JSON text, got ${show(text)}`;
}

function readTool(value: unknown, at: string): Tool | FieldFault {
  if (!isRecord(value)) return { field: at, fault: `must be an object, got ${show(value)}` };
  const { exact_json: _, ...tool } = normalised(value);
  const fault = toolFault(tool, at);
  if (fault) return fault;
  const exact = exactText(value);
  const read = tool as Tool;
  if (exact !== undefined)
    read.exact_json = writeExact(normalised(readExact(exact) as Fields) as ExactFields);
  return read;
}

type Fields = Readonly<Record<string, unknown>>;
type ExactFields = Readonly<Record<string, ExactJson>>;

/** A tool without fields that are null. Some data sets have only the function. */
function normalised(tool: Fields): Record<string, unknown> {
  if (tool.function === undefined && typeof tool.name === 'string')
    return { type: 'function', function: withoutNulls(tool) };
  const given = withoutNulls(tool);
  if (isRecord(given.function)) given.function = withoutNulls(given.function);
  return given;
}

const withoutNulls = (value: Fields): Record<string, unknown> =>
  objectOf(namesOf(value).flatMap((name) => (value[name] === null ? [] : [[name, value[name]]])));

function toolFault({ type, function: declared }: Fields, at: string): FieldFault | null {
  const wrong = (field: string, fault: string): FieldFault => ({ field: `${at}.${field}`, fault });
  if (type !== 'function') return wrong('type', `must be "function", got ${show(type)}`);
  if (!isRecord(declared)) return wrong('function', `must be an object with a name, got ${show(declared)}`);
  const { name, description, parameters } = declared;
  if (!isName(name)) return wrong('function.name', nameFault(name));
  if (description !== undefined && typeof description !== 'string')
    return wrong('function.description', `must be a string, got ${show(description)}`);
  if (parameters !== undefined && !isRecord(parameters))
    return wrong('function.parameters', `must be a JSON schema, an object, got ${show(parameters)}`);
  return null;
}

const isName = (name: unknown): name is string => typeof name === 'string' && TOOL_NAME.test(name);

const nameFault = (name: unknown): string =>
  `must be a name of 1 to 128 letters, digits and the signs _ . : / -, got ${show(name)}`;

/**
 * The calls of an assistant message, with `arguments` as an object, or the first fault, as `tool_calls[0] …`. Null and an empty list
 * are no calls. `tools`: the declared ones.
 */
export function readToolCalls(value: unknown, tools: readonly Tool[]): ToolCall[] | string {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return `has tool_calls ${show(value)}; they must be a list`;
  if (value.length > MAX_CALLS) return `has ${value.length} tool_calls; the limit is ${MAX_CALLS}`;
  const calls: ToolCall[] = [];
  for (const [i, each] of value.entries()) {
    const call = readToolCall(each, `tool_calls[${i}]`, tools);
    if (typeof call === 'string') return call;
    calls.push(call);
  }
  return calls;
}

/** `at`: the call's path, which faults begin with. */
function readToolCall(value: unknown, at: string, tools: readonly Tool[]): ToolCall | string {
  if (!isRecord(value)) return `${at} must be an object, got ${show(value)}`;
  const { id = null, type = 'function', function: called } = value;
  if (id !== null && typeof id !== 'string') return `${at} has id ${show(id)}; it must be a string`;
  if (type !== 'function') return `${at} has type ${show(type)}; it must be "function"`;
  if (!isRecord(called))
    return `${at} has function ${show(called)}; it must be an object with a name and arguments`;
  const { name } = called;
  if (!isName(name)) return `${at}.function.name ${nameFault(name)}`;
  const names = tools.map((tool) => tool.function.name);
  if (!names.includes(name)) return `${at} ${undeclared(name, names)}`;
  const read = readCalled(name, called.arguments);
  if (typeof read === 'string') return `${at}.function.arguments ${read}`;
  const call: ToolCall = { type: 'function', function: read };
  // Templates that read ids read them before the function.
  return id === null ? call : { id, type: call.type, function: call.function };
}

function undeclared(name: string, names: readonly string[]): string {
  if (names.length === 0)
    return `calls ${show(name)}, but no tools are declared; add "tools" with this function`;
  const [near] = nearest(name, names);
  return `calls ${show(name)}, which "tools" does not declare${near ? `; did you mean "${near}"?` : ''}`;
}
