import { isRecord, show } from '../schema/check-fields.ts';
import { nearest } from '../schema/nearest.ts';
import type { Tool, ToolCall } from './message.ts';
import { readArguments } from './message-fields.ts';

const MAX_TOOLS = 128;
/** Maximum number of calls in one message, and of characters in a tool's name: those of OpenAI's API. */
const MAX_CALLS = 128;
const NAME = /^[a-zA-Z0-9_.:/-]{1,128}$/;

/** The tools of a line or a request, or the first fault, as `tools[0] …`. Null and an empty list are no tools. */
export function readTools(value: unknown): Tool[] | string {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return `"tools" must be a list, got ${show(value)}`;
  if (value.length > MAX_TOOLS) return `"tools" has ${value.length} tools; the limit is ${MAX_TOOLS}`;
  const names = new Set<string>();
  for (const [i, tool] of value.entries()) {
    const fault = toolFault(tool) ?? duplicateFault((tool as Tool).function.name, names);
    if (fault) return `tools[${i}] ${fault}`;
  }
  return value as Tool[];
}

function toolFault(tool: unknown): string | null {
  if (!isRecord(tool)) return `must be an object, got ${show(tool)}`;
  const { type, function: declared } = tool;
  if (type !== 'function') return `has type ${show(type)}; it must be "function"`;
  if (!isRecord(declared)) return `has function ${show(declared)}; it must be an object with a name`;
  const { name, description, parameters } = declared;
  if (!isName(name)) return nameFault(name);
  if (description !== undefined && description !== null && typeof description !== 'string')
    return `has description ${show(description)}; it must be a string`;
  if (parameters !== undefined && parameters !== null && !isRecord(parameters))
    return `has parameters ${show(parameters)}; they must be a JSON schema, an object`;
  return null;
}

function duplicateFault(name: string, names: Set<string>): string | null {
  if (names.has(name)) return `has the name ${show(name)}, as an earlier tool does`;
  names.add(name);
  return null;
}

const isName = (name: unknown): name is string => typeof name === 'string' && NAME.test(name);

const nameFault = (name: unknown): string =>
  `has name ${show(name)}; names have 1 to 128 letters, digits and the signs _ . : / -`;

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
  if (!isName(name)) return `${at} ${nameFault(name)}`;
  const names = tools.map((tool) => tool.function.name);
  if (!names.includes(name)) return `${at} ${undeclared(name, names)}`;
  const args = readArguments(called.arguments);
  if (typeof args === 'string') return `${at}.function.arguments ${args}`;
  const call: ToolCall = { type: 'function', function: { name, arguments: args } };
  // Templates that read ids read them before the function.
  return id === null ? call : { id, type: call.type, function: call.function };
}

function undeclared(name: string, names: readonly string[]): string {
  if (names.length === 0)
    return `calls ${show(name)}, but no tools are declared; add "tools" with this function`;
  const [near] = nearest(name, names);
  return `calls ${show(name)}, which "tools" does not declare${near ? `; did you mean "${near}"?` : ''}`;
}
