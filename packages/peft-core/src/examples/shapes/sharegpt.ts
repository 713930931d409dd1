import { FLAG_KEYS } from '../../chat/read-messages.ts';
import { isRecord, show } from '../../schema/check-fields.ts';
import { parseJson } from '../../schema/exact-json.ts';
import { isPreference, type Line } from '../formats/fields.ts';
import type { Shape } from './shape.ts';

/** Roles by the names that tools write in `from`. */
const ROLES: Record<string, 'system' | 'user' | 'assistant' | 'tool' | 'call'> = {
  system: 'system',
  human: 'user',
  user: 'user',
  gpt: 'assistant',
  assistant: 'assistant',
  model: 'assistant',
  chatgpt: 'assistant',
  bot: 'assistant',
  tool: 'tool',
  observation: 'tool',
  function_response: 'tool',
  function_call: 'call',
};

/** Fields of a turn that a message may have, too. */
const FLAGS = ['weight', ...FLAG_KEYS];

const listOf = ({ conversations, conversation, messages }: Line): [name: string, list: unknown] =>
  conversations !== undefined
    ? ['conversations', conversations]
    : conversation !== undefined
      ? ['conversation', conversation]
      : ['messages', messages];

/** Turns with `from` and `value`, as ShareGPT, FastChat, Axolotl and LLaMA-Factory have them. */
export const sharegpt: Shape = {
  name: 'sharegpt',
  title: 'ShareGPT conversations',
  columns: ['conversations', 'conversation', 'messages', 'system', 'tools', 'chosen', 'rejected'],
  sample:
    '{"conversations": [{"from": "human", "value": "Which tyre fits?"}, {"from": "gpt", "value": "A 32."}]}',
  yields: false,
  unread: (row) =>
    ['conversation', 'messages'].filter((name) => row[name] !== undefined && name !== listOf(row)[0]),
  matches(row) {
    const [name, list] = listOf(row);
    if (name !== 'messages') return true;
    return (
      Array.isArray(list) &&
      list.length > 0 &&
      isRecord(list[0]) &&
      list[0].role === undefined &&
      'from' in list[0]
    );
  },
  convert(row) {
    const [name, list] = listOf(row);
    const system =
      row.system === undefined || row.system === '' ? [] : [{ from: 'system', value: row.system }];
    const given = new Turns().read(list, name, system);
    if (typeof given === 'string') return given;
    const tools = row.tools === undefined ? {} : { tools: row.tools };
    const messages = { messages: given, ...tools };
    if (!isPreference(row)) return messages;
    const pair: Record<string, unknown> = { prompt: given, ...tools };
    for (const field of ['chosen', 'rejected']) {
      const answer = new Turns().read([row[field]].flat(), field);
      if (typeof answer === 'string') return answer;
      pair[field] = answer;
    }
    return pair;
  },
};

/** Reads turns in order: an answer of a tool belongs to an earlier call. */
class Turns {
  /** Ids of the calls that no tool has answered, in order. */
  readonly #open: string[] = [];
  #calls = 0;

  /** The messages of a list of turns, or the fault of a turn, which `name` and its number precede. `before`: turns before the list. */
  read(list: unknown, name: string, before: readonly object[] = []): object[] | string {
    if (!Array.isArray(list)) return `"${name}" must be a list of turns, got ${show(list)}`;
    const messages: object[] = [];
    for (const [i, turn] of [...before, ...list].entries()) {
      const at = `${name}[${i - before.length}]`;
      const message = this.#message(turn);
      if (typeof message === 'string') return i < before.length ? `"system" must be a string` : at + message;
      messages.push(message);
    }
    return messages;
  }

  #message(turn: unknown): object | string {
    if (!isRecord(turn)) return ` must be an object with "from" and "value", got ${show(turn)}`;
    // A list of OpenAI's messages under ShareGPT's name.
    if (turn.from === undefined && turn.role !== undefined) return turn;
    // Weights, and the flags of axolotl and others for what is trained on, are those of messages.
    const { from, value, ...others } = turn;
    const role = typeof from === 'string' && Object.hasOwn(ROLES, from) ? ROLES[from]! : null;
    if (role === null) return `.from is ${show(from)}; it must be one of ${Object.keys(ROLES).join(', ')}`;
    if (typeof value !== 'string') return `.value must be a string, got ${show(value)}`;
    if (role === 'tool') {
      const id = this.#open.shift();
      return id === undefined ? { role, content: value } : { role, content: value, tool_call_id: id };
    }
    const flags = Object.fromEntries(FLAGS.flatMap((flag) => (flag in others ? [[flag, others[flag]]] : [])));
    if (role !== 'call') return { role, content: value, ...flags };
    const found = callsIn(value);
    if (typeof found === 'string') return `.value ${found}`;
    const calls = found.map((call) => ({ id: `call_${++this.#calls}`, type: 'function', function: call }));
    this.#open.push(...calls.map(({ id }) => id));
    return { role: 'assistant', content: null, tool_calls: calls, ...flags };
  }
}

/** The calls of a turn: JSON with `name` and `arguments`, or a list of such; `value`: its text, or parsed. */
export function callsIn(value: unknown): { name: unknown; arguments: unknown }[] | string {
  const fault = 'must be a call as JSON: {"name": …, "arguments": {…}}, or a list of such';
  let parsed = value;
  try {
    if (typeof value === 'string') parsed = parseJson(value);
  } catch {
    return fault;
  }
  const calls = [parsed].flat();
  if (calls.length === 0 || !calls.every((call) => isRecord(call) && typeof call.name === 'string'))
    return fault;
  return calls.map((call) => {
    const { name, arguments: given = {} } = call as Record<string, unknown>;
    return { name, arguments: given };
  });
}
