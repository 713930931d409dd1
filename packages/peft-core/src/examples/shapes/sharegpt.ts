import { isRecord, show } from '../../schema/check-fields.ts';
import type { Line } from '../formats/fields.ts';
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

const listOf = ({ conversations, conversation, messages }: Line): [name: string, list: unknown] =>
  conversations !== undefined
    ? ['conversations', conversations]
    : conversation !== undefined
      ? ['conversation', conversation]
      : ['messages', messages];

/** Turns with `from` and `value`, as ShareGPT, FastChat and Axolotl have them. */
export const sharegpt: Shape = {
  name: 'sharegpt',
  title: 'ShareGPT conversations',
  columns: ['conversations', 'system', 'tools'],
  sample:
    '{"conversations": [{"from": "human", "value": "Which tyre fits?"}, {"from": "gpt", "value": "A 32."}]}',
  yields: false,
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
    if (!Array.isArray(list)) return `"${name}" must be a list of turns, got ${show(list)}`;
    const messages: object[] = [];
    if (typeof row.system === 'string' && row.system !== '')
      messages.push({ role: 'system', content: row.system });
    /** Ids of the calls that no tool has answered, in order. */
    const open: string[] = [];
    let calls = 0;
    for (const [i, turn] of list.entries()) {
      if (!isRecord(turn))
        return `${name}[${i}] must be an object with "from" and "value", got ${show(turn)}`;
      // A list of OpenAI's messages under ShareGPT's name.
      if (turn.from === undefined && turn.role !== undefined) {
        messages.push(turn);
        continue;
      }
      const { from, value, weight } = turn;
      const role = typeof from === 'string' && Object.hasOwn(ROLES, from) ? ROLES[from]! : null;
      if (role === null)
        return `${name}[${i}].from is ${show(from)}; it must be one of ${Object.keys(ROLES).join(', ')}`;
      if (typeof value !== 'string') return `${name}[${i}].value must be a string, got ${show(value)}`;
      const weighted = weight === undefined ? {} : { weight };
      if (role === 'call') {
        const found = callsIn(value);
        if (typeof found === 'string') return `${name}[${i}].value ${found}`;
        const tool_calls = found.map((call) => ({ id: `call_${++calls}`, type: 'function', function: call }));
        open.push(...tool_calls.map(({ id }) => id));
        messages.push({ role: 'assistant', content: null, tool_calls, ...weighted });
      } else if (role === 'tool') {
        const id = open.shift();
        messages.push(
          id === undefined ? { role, content: value } : { role, content: value, tool_call_id: id },
        );
      } else messages.push({ role, content: value, ...weighted });
    }
    const tools = toolsOf(row.tools);
    return tools === undefined ? { messages } : { messages, tools };
  },
};

/** The calls of a turn: JSON with `name` and `arguments`, or a list of such. */
function callsIn(value: string): { name: unknown; arguments: unknown }[] | string {
  const fault = 'must be a call as JSON: {"name": …, "arguments": {…}}, or a list of such';
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    return fault;
  }
  const calls = [parsed].flat();
  if (calls.length === 0 || !calls.every((call) => isRecord(call) && typeof call.name === 'string'))
    return fault;
  return calls.map((call) => {
    const { name, arguments: given = {} } = call as Record<string, unknown>;
    return { name, arguments: typeof given === 'string' ? given : JSON.stringify(given) };
  });
}

/** Tools are often JSON within the JSON, and without OpenAI's `type`. */
function toolsOf(tools: unknown): unknown {
  let list = tools;
  if (typeof list === 'string') {
    if (list.trim() === '') return undefined;
    try {
      list = JSON.parse(list);
    } catch {
      return tools;
    }
  }
  if (!Array.isArray(list)) return list ?? undefined;
  if (list.length === 0) return undefined;
  return list.map((tool) =>
    isRecord(tool) && tool.function === undefined && typeof tool.name === 'string'
      ? { type: 'function', function: tool }
      : tool,
  );
}
