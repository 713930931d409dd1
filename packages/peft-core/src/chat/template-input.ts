import { GraftError } from '../errors.ts';
import { type ExactJson, Float, namesOf, objectOf, readExact, writeExact } from '../schema/exact-json.ts';
import { type Message, REASONING_FIELDS, type Tool, type ToolCall } from './message.ts';

/** Maximum nesting depth of tool definitions and arguments of tool calls. */
const MAX_DEPTH = 64;

/** A message as a template receives it: the fields that transformers' conversations have. */
export type TemplateMessage = Readonly<Record<string, unknown>> & { readonly role: string };

/** Inputs of one rendering. */
export interface TemplateInput {
  messages: readonly TemplateMessage[];
  addGenerationPrompt: boolean;
  strftime(format: string): string;
  /** Additional variables that the template may read, and `tools`. */
  variables: Readonly<Record<string, unknown>>;
}

export interface InputOptions {
  /** The template knows the role `developer`; otherwise it gets `system` instead. */
  hasDeveloper: boolean;
  /** The template accepts content only as a list of parts. */
  takesParts: boolean;
}

/** Converts a message for a template; returns the message itself if nothing differs. */
export function templateMessage(
  message: Message,
  { hasDeveloper, takesParts }: InputOptions,
): TemplateMessage {
  const { weight, reasoning, role, content } = message;
  const hasParts = takesParts && content !== null;
  // As transformers does: many templates write None, but know what to do without content.
  const isEmpty = content === null;
  const isOther = role === 'developer' && !hasDeveloper;
  const hasExact = message.tool_calls?.some((call) => call.function.exact_json !== undefined) ?? false;
  if (weight === undefined && reasoning === undefined && !hasParts && !isEmpty && !isOther && !hasExact)
    return message as TemplateMessage;
  const { weight: _, reasoning: __, content: ___, ...rest } = message;
  const shown: Record<string, unknown> & { role: string } = rest;
  if (!isEmpty) shown.content = content;
  if (isOther) shown.role = 'system';
  if (hasParts) shown.content = [{ type: 'text', text: content }];
  if (reasoning !== undefined) for (const name of REASONING_FIELDS) shown[name] = reasoning;
  if (hasExact) shown.tool_calls = message.tool_calls!.map(templateCall);
  return shown;
}

export const templateTool = (tool: Tool): unknown =>
  tool.exact_json === undefined ? tool : readExact(tool.exact_json);

function templateCall(call: ToolCall): unknown {
  const { name, exact_json: exact } = call.function;
  return exact === undefined ? call : { ...call, function: { name, arguments: readExact(exact) } };
}

/** Every text of a message that its author wrote, changed by `change`: also names of fields, but not the role. */
export function withMessageTexts(message: Message, change: (text: string) => string): Message {
  const changed: Message = { ...message, content: message.content === null ? null : change(message.content) };
  if (message.name !== undefined) changed.name = change(message.name);
  if (message.reasoning !== undefined) changed.reasoning = change(message.reasoning);
  if (message.tool_call_id !== undefined) changed.tool_call_id = change(message.tool_call_id);
  if (message.tool_calls !== undefined)
    changed.tool_calls = message.tool_calls.map(({ function: called, ...call }) => ({
      ...(withAllTexts(call, change) as typeof call),
      function: withExactTexts(called, change),
    }));
  return changed;
}

export function withToolTexts(tools: readonly Tool[], change: (text: string) => string): Tool[] {
  return tools.map((tool) => withExactTexts(tool, change));
}

function withExactTexts<T extends { exact_json?: string }>(
  { exact_json: exact, ...value }: T,
  change: (text: string) => string,
): T {
  const changed = withAllTexts(value, change) as T;
  if (exact !== undefined)
    changed.exact_json = writeExact(withAllTexts(readExact(exact), change) as ExactJson);
  return changed;
}

/** A value of JSON with every text and every name of a field changed. */
function withAllTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (typeof value !== 'object' || value === null || value instanceof Float) return value;
  if (Array.isArray(value)) return value.map((item) => withAllTexts(item, change));
  const fields = value as Record<string, unknown>;
  return objectOf(namesOf(value).map((name) => [change(name), withAllTexts(fields[name], change)]));
}

/** Throws `chat_template_error` for tools, or arguments of tool calls, that nest too deep for functions that call themselves. */
export function checkDepth(messages: readonly Message[], tools: readonly Tool[] = []): void {
  const place = tools.some((tool) => isDeeper(tool, MAX_DEPTH))
    ? 'tools'
    : `messages[${messages.findIndex(({ tool_calls }) => tool_calls && isDeeper(tool_calls, MAX_DEPTH))}]`;
  if (place === 'messages[-1]') return;
  const message = `${place} has values that nest more than ${MAX_DEPTH} deep`;
  throw new GraftError('chat_template_error', message, { param: place === 'tools' ? 'tools' : 'messages' });
}

function isDeeper(value: unknown, most: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return most === 0 || Object.values(value).some((part) => isDeeper(part, most - 1));
}
