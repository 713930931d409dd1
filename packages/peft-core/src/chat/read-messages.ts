import { isRecord, show } from '../schema/check-fields.ts';
import { isWeight, WEIGHT_RANGE } from '../schema/loss-weight.ts';
import { nearest } from '../schema/nearest.ts';
import { isTrainedOn, type Message, REASONING_FIELDS, type Tool } from './message.ts';
import { messageOf, readReasoning, UnansweredCalls } from './message-fields.ts';
import { readToolCalls, readTools } from './read-tools.ts';

/** Maximum number of faults reported for one conversation; the check stops there. */
const MAX_FAULTS = 5;

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'];
/** Fields of plain messages. A message without others is used as it is. */
const PLAIN_KEYS = new Set(['role', 'content', 'name', 'weight']);
/** Parts of contents in OpenAI's API besides text, by their type. */
const PARTS_BESIDE_TEXT: Partial<Record<string, string>> = {
  image_url: 'an image',
  input_audio: 'a recording',
  file: 'a file',
};
/** Names of other tools for whether a message is trained on: axolotl's default and that of its examples, and ms-swift's. */
const WHOLE_FLAGS = ['training', 'train', 'loss'];
/** The same for parts of a message. */
const PART_FLAGS = ['train_detail', 'training_detail'];
export const FLAG_KEYS: readonly string[] = [...WHOLE_FLAGS, ...PART_FLAGS];
const MESSAGE_KEYS = [...PLAIN_KEYS, 'tool_calls', 'tool_call_id', ...REASONING_FIELDS, ...FLAG_KEYS];
/** Fields of OpenAI's answers that are empty for text; with a value they are rejected. */
const UNSUPPORTED_KEYS: Record<string, string> = {
  function_call: 'has "function_call", which "tool_calls" replaced',
  refusal: 'has a "refusal", which is not supported; write it as content',
  audio: 'has "audio", which is not supported',
  annotations: 'has "annotations", which are not supported',
};

export interface ReadConversation {
  messages: Message[];
  /** Undefined without tools. */
  tools?: Tool[];
}

/** The conversation of a line of training data, or its faults in one sentence. */
export function readConversation(line: Readonly<Record<string, unknown>>): ReadConversation | string {
  const { messages, parallel_tool_calls: parallel } = line;
  const tools = readTools(line.tools);
  if ('fault' in tools) return `${tools.field === 'tools' ? '"tools"' : tools.field} ${tools.fault}`;
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
  readonly #unanswered = new UnansweredCalls();
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
      typeof value.content === 'string' &&
      Object.entries(value).every(([key, each]) => PLAIN_KEYS.has(key) && each !== null);
    const message = isPlain ? (value as Message) : this.#readFields(value);
    this.#check(value, message);
    if (this.faults.length === before) this.messages.push(message);
  }

  #fault(fault: string): void {
    this.faults.push(`messages[${this.#index}] ${fault}`);
  }

  #faultOf(field: string, fault: string): void {
    this.faults.push(`messages[${this.#index}].${field} ${fault}`);
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
    const calls = readToolCalls(value.tool_calls, this.#tools);
    const message = messageOf(value.role as string, this.#contentOf(value), {
      name: value.name as string,
      reasoning: this.#reasoningOf(value),
      tool_calls: typeof calls === 'string' ? null : calls,
      tool_call_id: typeof value.tool_call_id === 'string' ? value.tool_call_id : null,
    });
    if (typeof calls === 'string') this.#fault(calls);
    if (value.weight !== undefined && value.weight !== null) message.weight = value.weight as number;
    if (!this.#isTrained(value) && value.role === 'assistant') message.weight = 0;
    return message;
  }

  /** False if a flag of the message excludes it from training. */
  #isTrained(value: Record<string, unknown>): boolean {
    const flags = WHOLE_FLAGS.filter((key) => !isEmpty(value[key]));
    for (const key of flags)
      if (typeof value[key] !== 'boolean')
        this.#faultOf(key, `must be true or false, got ${show(value[key])}`);
    const parts = PART_FLAGS.find((key) => !isEmpty(value[key]));
    const shown = parts === undefined ? [] : [value[parts]].flat();
    const found = new Set(shown.map((part) => isRecord(part) && (part.train ?? part.training) === true));
    if (found.size > 1)
      this.#faultOf(
        parts!,
        'excludes a part of the message, which is not supported; set "train" for the whole message',
      );
    const isIncluded = flags.find((key) => value[key] === true) ?? (found.has(true) ? parts : undefined);
    if (isIncluded && value.role !== 'assistant')
      this.#faultOf(isIncluded, 'is true; only assistant messages are trained on');
    return !flags.some((key) => value[key] === false) && !found.has(false);
  }

  /** Text, or the joined text of its parts; null for none. */
  #contentOf({ content = null }: Record<string, unknown>): string | null {
    if (!Array.isArray(content)) return content as string | null;
    const texts: string[] = [];
    for (const [i, part] of content.entries()) {
      const { type, text } = isRecord(part) ? part : {};
      if (type === 'text' && typeof text === 'string') texts.push(text);
      else {
        const kind = typeof type === 'string' ? PARTS_BESIDE_TEXT[type] : undefined;
        const found = typeof type === 'string' && type !== 'text' ? `type ${show(type)}` : show(part);
        this.#fault(
          kind
            ? `has ${kind} in content[${i}]; Graft reads only text: remove it, or describe it in words`
            : `has content[${i}] with ${found}; parts must be {"type": "text", "text": "…"}`,
        );
        break;
      }
    }
    return texts.join('');
  }

  #reasoningOf(value: Record<string, unknown>): string | null {
    const read = readReasoning(value);
    if (typeof read === 'string' || read === null) return read;
    this.#faultOf(read.field, read.fault);
    return null;
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
    if (role === 'tool') this.#checkAnswer(value);
    else {
      if (!isEmpty(value.tool_call_id)) this.#fault('has a tool_call_id; only tool messages do');
      this.#unanswered.follow(calls, isAssistant && calls.length === 0 && content !== '');
    }
  }

  #checkAnswer({ tool_call_id: id = null }: Record<string, unknown>): void {
    const isId = id === null || typeof id === 'string';
    const fault = isId ? this.#unanswered.answer(id) : `must be a string, got ${show(id)}`;
    if (fault) this.#faultOf('tool_call_id', fault);
  }
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.length === 0);
