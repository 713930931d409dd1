import { isRecord, show } from '../config/check.ts';
import { nearest } from '../config/nearest.ts';
import type { ChatMessage } from './chat-template.ts';

/** A message of a training example; weight 0 keeps an assistant's turn out of the loss. */
export interface TrainingMessage extends ChatMessage {
  role: 'system' | 'user' | 'assistant';
  weight?: 0 | 1;
}

/** One line of a training file, checked, and its number from 1. */
export type RawExample =
  | { format: 'chat'; line: number; messages: TrainingMessage[] }
  | { format: 'prompt_completion'; line: number; prompt: string; completion: string }
  | { format: 'text'; line: number; text: string };

export type DatasetFormat = RawExample['format'];

const ROLES = ['system', 'user', 'assistant'];
const MESSAGE_KEYS = ['role', 'content', 'name', 'weight'];
const UNSUPPORTED_MESSAGE_KEYS = [
  'tool_calls',
  'tool_call_id',
  'function_call',
  'refusal',
  'audio',
  'thinking',
];
/** Fields that would change what is learnt: other columns, such as an id, are left alone. */
const UNSUPPORTED_KEYS: Record<string, string> = {
  tools: 'tools',
  functions: 'functions',
  parallel_tool_calls: 'tools',
  preferred_output: 'preference (DPO) data',
  non_preferred_output: 'preference (DPO) data',
  label: 'classification data',
};

/** Checks one line's JSON. Returns the example, or every fault of the line in one sentence. */
export function parseExample(value: unknown, line: number): RawExample | string {
  if (!isRecord(value)) return `must be a JSON object, got ${show(value)}`;
  const unsupported = Object.keys(value).find((key) => Object.hasOwn(UNSUPPORTED_KEYS, key));
  if (unsupported) return `"${unsupported}": ${UNSUPPORTED_KEYS[unsupported]} is not supported`;
  const has = (key: string) => value[key] !== undefined;
  const kinds = [has('messages'), has('prompt') || has('completion'), has('text')].filter(Boolean).length;
  if (kinds > 1)
    return 'holds several kinds of example; give either messages, or prompt and completion, or text';
  if (has('messages')) return chat(value.messages, line);
  if (has('text')) {
    const fault = textFault(value, 'text');
    return fault ?? { format: 'text', line, text: value.text as string };
  }
  if (kinds === 1) {
    if (typeof value.prompt !== 'string') return `"prompt" must be a string, got ${show(value.prompt)}`;
    const fault = textFault(value, 'completion');
    return (
      fault ?? {
        format: 'prompt_completion',
        line,
        prompt: value.prompt,
        completion: value.completion as string,
      }
    );
  }
  return 'has neither "messages", nor "prompt" and "completion", nor "text"';
}

function textFault(value: Record<string, unknown>, key: string): string | null {
  if (typeof value[key] !== 'string') return `"${key}" must be a string, got ${show(value[key])}`;
  return value[key] === '' ? `"${key}" is empty` : null;
}

function chat(messages: unknown, line: number): RawExample | string {
  if (!Array.isArray(messages) || messages.length === 0)
    return '"messages" must be a list of at least one message';
  const faults = messages.flatMap((message, i) =>
    messageFaults(message).map((fault) => `messages[${i}] ${fault}`),
  );
  if (faults.length > 0) return faults.slice(0, 5).join('; ') + (faults.length > 5 ? '; …' : '');
  const checked = messages as TrainingMessage[];
  if (!checked.some(({ role, weight }) => role === 'assistant' && weight !== 0)) {
    return 'has no assistant message to learn from';
  }
  return { format: 'chat', line, messages: checked };
}

function messageFaults(message: unknown): string[] {
  if (!isRecord(message)) return [`must be an object, got ${show(message)}`];
  const faults: string[] = [];
  for (const key of Object.keys(message)) {
    if (MESSAGE_KEYS.includes(key)) continue;
    if (UNSUPPORTED_MESSAGE_KEYS.includes(key)) faults.push(`has "${key}", which is not supported`);
    else {
      const [near] = nearest(key, MESSAGE_KEYS);
      faults.push(`has an unknown field "${key}"${near ? `; did you mean "${near}"?` : ''}`);
    }
  }
  const { role, content, name, weight } = message;
  if (!ROLES.includes(role as string)) faults.push(`has role ${show(role)}; roles are ${ROLES.join(', ')}`);
  if (typeof content !== 'string') faults.push(`has content ${show(content)}; it must be a string`);
  else if (content === '' && role === 'assistant' && weight !== 0)
    faults.push('is an empty assistant message');
  if (name !== undefined && typeof name !== 'string')
    faults.push(`has name ${show(name)}; it must be a string`);
  if (weight !== undefined) {
    if (weight !== 0 && weight !== 1) faults.push(`has weight ${show(weight)}; it must be 0 or 1`);
    else if (role !== 'assistant') faults.push('has a weight; only assistant messages do');
  }
  return faults;
}
