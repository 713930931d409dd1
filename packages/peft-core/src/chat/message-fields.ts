/**
 * Fields of messages that training data and requests for answers have in common, read by the same rules, so that a conversation has the same
 * tokens in both. Faults are predicates of a field, such as `must be a string`: each caller puts the field's path before them.
 */
import { isRecord, show } from '../schema/check-fields.ts';
import { exactText, parseJson } from '../schema/exact-json.ts';
import { jsonExtent } from '../schema/json-extent.ts';
import { jsonFault } from '../schema/json-fault.ts';
import { type Message, REASONING_FIELDS, type ToolCall } from './message.ts';

/** Limits of a call's arguments: parsing and rendering deep or large ones takes long. */
const MAX_DEPTH = 32;
const MAX_VALUES = 10_000;

/**
 * A called function, or the fault of its arguments. OpenAI's API has them as JSON text, many data sets as an object; without parameters
 * they may be absent or an empty text.
 */
export function readCalled(name: string, value: unknown): ToolCall['function'] | string {
  if (value === undefined || value === null) return { name, arguments: {} };
  if (typeof value !== 'string') {
    if (!isRecord(value)) return `must be a JSON object or its text, got ${show(value)}`;
    return objectFault(value) ?? called(name, value);
  }
  if (value.trim() === '') return { name, arguments: {} };
  const fault = extentFault(jsonExtent(value));
  if (fault) return fault;
  let parsed: unknown;
  try {
    parsed = parseJson(value, 'arguments');
  } catch {
    return `must be JSON, but has ${jsonFault(value)}`;
  }
  if (!isRecord(parsed)) return `must be the JSON text of an object, got ${show(value)}`;
  return objectFault(parsed) ?? called(name, parsed);
}

function called(name: string, args: Record<string, unknown>): ToolCall['function'] {
  const exact = exactText(args);
  return exact === undefined ? { name, arguments: args } : { name, arguments: args, exact_json: exact };
}

function extentFault({ depth, values }: { depth: number; values: number }): string | null {
  if (depth > MAX_DEPTH) return `must nest at most ${MAX_DEPTH} levels`;
  return values > MAX_VALUES ? `must have at most ${MAX_VALUES.toLocaleString('en')} values` : null;
}

/** The limits are those of the text, as `jsonExtent` counts: one value for each object, list and comma. */
function objectFault(value: Record<string, unknown>): string | null {
  let values = 1;
  const faultOf = (part: unknown, depth: number): string | null => {
    if (typeof part !== 'object' || part === null) return null;
    const keys = Object.keys(part);
    values += Math.max(1, keys.length);
    const fault = extentFault({ depth, values });
    if (fault) return fault;
    // Code that copies an object by assignment would change the prototype of the copy.
    if (!Array.isArray(part) && keys.includes('__proto__')) return 'must not have the name "__proto__"';
    for (const each of Object.values(part)) {
      const inner = faultOf(each, depth + 1);
      if (inner) return inner;
    }
    return null;
  };
  return faultOf(value, 1);
}

export interface FieldFault {
  field: string;
  fault: string;
}

type ReasoningFields = Readonly<Partial<Record<(typeof REASONING_FIELDS)[number], unknown>>>;

/** Reads an assistant's reasoning, by one or several of the names in use; null for none. An empty text is none. */
export function readReasoning(
  message: ReasoningFields & { readonly role?: unknown },
): string | null | FieldFault {
  const given = REASONING_FIELDS.filter((field) => (message[field] ?? '') !== '');
  const [field] = given;
  if (!field) return null;
  const wrong = given.find((each) => typeof message[each] !== 'string');
  if (wrong) return { field: wrong, fault: `must be a string, got ${show(message[wrong])}` };
  if (message.role !== 'assistant') return { field, fault: 'is only for messages with the role "assistant"' };
  const other = given.find((each) => message[each] !== message[field]);
  if (other) return { field: other, fault: `differs from "${field}"; keep one of these fields` };
  return message[field] as string;
}

/** The calls of the latest assistant message that no tool message has answered yet. */
export class UnansweredCalls {
  #calls: Pick<ToolCall, 'id'>[] = [];
  #mayCallInText = false;

  /** Follows a message that is not a tool's: answers after it belong to its calls. `mayCallInText`: its text may have calls instead. */
  follow(calls: readonly Pick<ToolCall, 'id'>[], mayCallInText = false): void {
    this.#calls = [...calls];
    this.#mayCallInText = mayCallInText;
  }

  /**
   * Follows a tool message. It answers the call with its id; without ids, the first call without an answer. Returns the fault of
   * `tool_call_id` if there is none.
   */
  answer(id: string | null): string | null {
    if (this.#mayCallInText && id === null) return null;
    if (this.#calls.length === 0)
      return 'answers no call; a tool message must follow the assistant message with its tool_calls';
    const at = id === null ? 0 : this.#calls.findIndex((call) => call.id === id || call.id === undefined);
    if (at === -1) {
      const ids = this.#calls.map((call) => show(call.id)).join(', ');
      return `is ${show(id)}; calls of the assistant message before that have no answer yet are ${ids}`;
    }
    this.#calls.splice(at, 1);
    return null;
  }
}

/** A message without the fields that are null or have no entries, in one order: some templates write messages as JSON. */
export function messageOf(
  role: string,
  content: string | null,
  others: { [K in 'name' | 'reasoning' | 'tool_calls' | 'tool_call_id']?: Message[K] | null },
): Message {
  const { name, reasoning, tool_calls, tool_call_id } = others;
  const message: Message = { role, content };
  if (name !== undefined && name !== null) message.name = name;
  if (reasoning) message.reasoning = reasoning;
  if (tool_calls?.length) message.tool_calls = tool_calls;
  if (tool_call_id !== undefined && tool_call_id !== null) message.tool_call_id = tool_call_id;
  return message;
}
