import { Type } from 'typebox';
import { isRecord, show } from './check-fields.ts';

/** Variables of a chat template besides the conversation, such as `enable_thinking`. */
export type TemplateKwargs = Readonly<Record<string, unknown>>;

/** Request field of a job's own chat template. */
export const OWN_TEMPLATE = 'training.chat_template';

/** Maximum size of all variables as JSON, in bytes of UTF-8. */
const MAX_BYTES = 4096;
const MAX_NAMES = 32;
const MAX_DEPTH = 8;

/** `templateKwargsFault` checks the constraints that this schema does not express. */
export const TemplateKwargsSchema = Type.Record(Type.String(), Type.Unknown(), { maxProperties: MAX_NAMES });

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
/** Names of a value's own fields. Brackets are excluded, so that no name is a special token. */
const FIELD = /^[A-Za-z0-9_. -]{1,64}$/;

/** Variables set by Graft or transformers: the conversation, arguments of apply_chat_template, special tokens, functions. */
const RESERVED = new Set([
  'messages',
  'conversation',
  'tools',
  'documents',
  'add_generation_prompt',
  'continue_final_message',
  'chat_template',
  'tokenize',
  'padding',
  'truncation',
  'max_length',
  'return_tensors',
  'return_dict',
  'return_assistant_tokens_mask',
  'tokenizer_kwargs',
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
  'raise_exception',
  'strftime_now',
  'range',
  'namespace',
  'loop',
  'true',
  'false',
  'none',
  'True',
  'False',
  'None',
  '__proto__',
]);

/** Why a value cannot be passed to a chat template, as "must …"; null if it can. The cost is bounded, whatever the value. */
export function templateKwargsFault(value: unknown): string | null {
  if (!isRecord(value)) return `must be an object, got ${show(value)}`;
  const names = Object.keys(value);
  if (names.length > MAX_NAMES) return `must have at most ${MAX_NAMES} names, got ${names.length}`;
  for (const name of names) {
    if (RESERVED.has(name)) return `must not set ${name}, which the template gets from elsewhere`;
    if (!NAME.test(name)) return `must have names of variables, got ${show(name)}`;
  }
  const budget = { left: MAX_BYTES };
  const fault = names.map((name) => faultIn(value[name], 1, budget)).find((found) => found !== null);
  if (fault) return fault;
  const bytes = Buffer.byteLength(JSON.stringify(value));
  return bytes > MAX_BYTES ? tooLarge : null;
}

const tooLarge = `must be at most ${MAX_BYTES} bytes of JSON`;

/** `budget`: budget of units that may still be inspected, so that the check of a huge value ends early. */
function faultIn(value: unknown, depth: number, budget: { left: number }): string | null {
  budget.left -= typeof value === 'string' ? value.length : 1;
  if (budget.left < 0) return tooLarge;
  if (typeof value === 'string')
    return /[\0\ud800-\udfff]/u.test(value) ? 'must have texts of Unicode characters other than NUL' : null;
  if (typeof value === 'number') return Number.isFinite(value) ? null : 'must have finite numbers';
  if (typeof value !== 'object' || value === null)
    return value === null || typeof value === 'boolean' ? null : 'must be JSON';
  if (depth > MAX_DEPTH) return `must nest at most ${MAX_DEPTH} deep`;
  const parts = Array.isArray(value) ? value : Object.entries(value);
  if (parts.length > budget.left) return tooLarge;
  for (const part of parts) {
    const [field, inner] = Array.isArray(value) ? [null, part] : (part as [string, unknown]);
    if (field !== null && (!FIELD.test(field) || field === '__proto__'))
      return `must have plain names of fields, got ${show(field)}`;
    const fault = faultIn(inner, depth + 1, budget);
    if (fault) return fault;
  }
  return null;
}

/** The same value with every string changed by `change`. */
export function withTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((part) => withTexts(part, change));
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, withTexts(part, change)]));
}
