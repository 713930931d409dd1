import { isRecord, show } from '../schema/check-fields.ts';
import { isWeight, WEIGHT_RANGE } from '../schema/loss-weight.ts';
import { nearest } from '../schema/nearest.ts';
import { isTrainedOn, type Message, REASONING_FIELDS, type Tool, type ToolCall } from './message.ts';
import { readToolCalls, readTools } from './read-tools.ts';

/** Maximum number of faults reported for one conversation; the check stops there. */
const MAX_FAULTS = 5;

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'];
/** Fields of plain messages. A message without others is used as it is. */
const PLAIN_KEYS = new Set(['role', 'content', 'name', 'weight']);
const MESSAGE_KEYS = [...PLAIN_KEYS, 'tool_calls', 'tool_call_id', ...REASONING_FIELDS];
/** Fields of OpenAI's answers that are empty for text; with a value they are rejected. */
const UNSUPPORTED_KEYS: Record<string, string> = {
  function_call: 'has "function_call", which "tool_calls" replaced',
  refusal: 'has a "refusal", which is not supported; write it as content',
  audio: 'has "audio", which is not supported',
  annotations: 'has "annotations", which are not supported',
};

/** A conversation of training data. */
export interface ReadConversation {
  messages: Message[];
  /** Absent without tools. */
  tools?: Tool[];
}

/** The conversation of a line of training data, or its faults in one sentence. */
export function readConversation(line: Readonly<Record<string, unknown>>): ReadConversation | string {
  const { messages, parallel_tool_calls: parallel } = line;
  const tools = readTools(line.tools);
  if (typeof tools === 'string') return tools;
  if (parallel !== undefined && parallel !== null && typeof parallel !== 'boolean')
    return `"parallel_tool_calls" must be true or false, got ${show(parallel)}`;
  if (!Array.isArray(messages) || messages.length === 0)
    return '"messages" must be a list of at least one message';
  const reader = new MessageReader(tools, parallel === false ? 1 : Number.POSITIVE_INFINITY);
  for (let i = 0; i < messages.length && reader.faults.length <= MAX_FAULTS; i++) reader.read(messages[i], i);
  const { faults } = reader;
  if (faults.length > 0)
    return faults.slice(0, MAX_FAULTS).join('; ') + (faults.length > MAX_FAULTS ? '; …' : '');
  if (!reader.messages.some(isTrainedOn)) return 'has no assistant message to train on';
  return tools.length === 0 ? { messages: reader.messages } : { messages: reader.messages, tools };
}

/** Reads the messages of a conversation in order: a tool message answers a call of an earlier message. */
class MessageReader {
  readonly messages: Message[] = [];
  readonly faults: string[] = [];
  readonly #tools: readonly Tool[];
  readonly #maxCalls: number;
  /** Calls of the latest assistant message without an answer. */
  #unanswered: ToolCall[] = [];
  #index = 0;

  constructor(tools: readonly Tool[], maxCalls: number) {
    this.#tools = tools;
    this.#maxCalls = maxCalls;
  }

  read(value: unknown, index: number): void {
    this.#index = index;
    if (isRecord(value)) this.#readRecord(value);
    else this.#fault(`must be an object, got ${show(value)}`);
  }

  #readRecord(value: Record<string, unknown>): void {
    const before = this.faults.length;
    this.#checkKeys(value);
    if (!ROLES.includes(value.role as string))
      this.#fault(`has role ${show(value.role)}; roles are ${ROLES.join(', ')}`);
    const isPlain =
      typeof value.content === 'string' && Object.keys(value).every((key) => PLAIN_KEYS.has(key));
    const message = isPlain ? (value as Message) : this.#readFields(value);
    this.#check(value, message);
    if (this.faults.length === before) this.messages.push(message);
  }

  #fault(fault: string): void {
    this.faults.push(`messages[${this.#index}] ${fault}`);
  }

  #checkKeys(message: Record<string, unknown>): void {
    for (const [key, value] of Object.entries(message)) {
      if (MESSAGE_KEYS.includes(key)) continue;
      if (this.faults.length > MAX_FAULTS) return;
      if (Object.hasOwn(UNSUPPORTED_KEYS, key)) {
        if (!isEmpty(value)) this.#fault(UNSUPPORTED_KEYS[key]!);
        continue;
      }
      const [near] = nearest(key, MESSAGE_KEYS);
      this.#fault(`has an unknown field ${show(key)}${near ? `; did you mean "${near}"?` : ''}`);
    }
  }

  /** The message in Graft's form. Fields that are null are absent. */
  #readFields(value: Record<string, unknown>): Message {
    const message: Message = { role: value.role as string, content: this.#contentOf(value) };
    if (value.name !== undefined && value.name !== null) message.name = value.name as string;
    const reasoning = this.#reasoningOf(value);
    if (reasoning !== null) message.reasoning = reasoning;
    const calls = readToolCalls(value.tool_calls, this.#tools);
    if (typeof calls === 'string') this.#fault(calls);
    else if (calls.length > 0) message.tool_calls = calls;
    if (typeof value.tool_call_id === 'string') message.tool_call_id = value.tool_call_id;
    if (value.weight !== undefined && value.weight !== null) message.weight = value.weight as number;
    return message;
  }

  /** Text, or the joined text of its parts; null for none. */
  #contentOf({ content = null }: Record<string, unknown>): string | null {
    if (!Array.isArray(content)) return content as string | null;
    const texts: string[] = [];
    for (const [i, part] of content.entries()) {
      const { type, text } = isRecord(part) ? part : {};
      if (type === 'text' && typeof text === 'string') texts.push(text);
      else {
        const found = typeof type === 'string' && type !== 'text' ? `type ${show(type)}` : show(part);
        this.#fault(`has content[${i}] with ${found}; parts must be {"type": "text", "text": "…"}`);
        break;
      }
    }
    return texts.join('');
  }

  #reasoningOf(value: Record<string, unknown>): string | null {
    const given = REASONING_FIELDS.filter((field) => value[field] !== undefined && value[field] !== null);
    const [first] = given;
    if (!first) return null;
    const reasoning = value[first];
    if (typeof reasoning !== 'string') this.#fault(`has ${first} ${show(reasoning)}; it must be a string`);
    else if (value.role !== 'assistant') this.#fault(`has ${first}; only assistant messages do`);
    else if (given.some((field) => value[field] !== reasoning))
      this.#fault(`has ${given.join(' and ')} with different texts; keep one of these fields`);
    return reasoning === '' ? null : (reasoning as string);
  }

  #check(value: Record<string, unknown>, message: Message): void {
    const { role, content, name, weight, tool_calls: calls = [] } = message;
    const isAssistant = role === 'assistant';
    if (!isAssistant && !isEmpty(value.tool_calls)) this.#fault('has tool_calls; only assistant messages do');
    if (content === null) {
      if (!isAssistant || calls.length === 0)
        this.#fault(`has content null; ${isAssistant ? 'without tool_calls ' : ''}it must be a string`);
    } else if (typeof content !== 'string')
      this.#fault(`has content ${show(content)}; it must be a string or a list of text parts`);
    else if (content === '' && isTrainedOn(message) && calls.length === 0)
      this.#fault('is an empty assistant message');
    if (name !== undefined && typeof name !== 'string')
      this.#fault(`has name ${show(name)}; it must be a string`);
    if (weight !== undefined) {
      if (!isWeight(weight)) this.#fault(`has weight ${show(weight)}; it must be ${WEIGHT_RANGE}`);
      else if (!isAssistant) this.#fault('has a weight; only assistant messages do');
    }
    if (calls.length > this.#maxCalls)
      this.#fault(`has ${calls.length} tool_calls, though "parallel_tool_calls" is false`);
    if (role === 'tool') {
      const fault = this.#answerFault(value);
      if (fault) this.#fault(fault);
    } else {
      if (!isEmpty(value.tool_call_id)) this.#fault('has a tool_call_id; only tool messages do');
      this.#unanswered = [...calls];
    }
  }

  /**
   * Why a tool message answers no call; null if it does. It answers the call with its id; without ids, the first call without an
   * answer.
   */
  #answerFault({ tool_call_id: id = null }: Record<string, unknown>): string | null {
    if (id !== null && typeof id !== 'string') return `has tool_call_id ${show(id)}; it must be a string`;
    if (this.#unanswered.length === 0)
      return 'is a tool message without a call; it must follow the assistant message with its tool_calls';
    const at =
      id === null ? 0 : this.#unanswered.findIndex((call) => call.id === id || call.id === undefined);
    if (at === -1) {
      const ids = this.#unanswered.map((call) => show(call.id)).join(', ');
      return `has tool_call_id ${show(id)}; calls without an answer have ${ids}`;
    }
    this.#unanswered.splice(at, 1);
    return null;
  }
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.length === 0);
