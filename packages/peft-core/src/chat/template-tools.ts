/** Tools for chat templates that have none: the template that adds them, and the error of data that need them. */
/** Value of `training.chat_template` that stands for the base model's template with tools. */
export const WITH_TOOLS = 'tools';

/** Returns true if a template reads tools or calls of them. */
export const readsTools = (template: string): boolean => /\btool(s|_calls)\b/.test(template);

/** The error of a conversation whose tools, calls or results the template cannot show; null: none. */
export function unshownTools(
  template: string,
  {
    messages,
    tools = [],
  }: { messages: readonly { role: string; tool_calls?: unknown }[]; tools?: readonly unknown[] },
): string | null {
  if (readsTools(template)) return null;
  const at = messages.findIndex(({ role, tool_calls }) => role === 'tool' || tool_calls !== undefined);
  if (at < 0 && tools.length === 0) return null;
  const what =
    at < 0
      ? '"tools" are given'
      : `messages[${at}] ${messages[at]!.role === 'tool' ? 'is the result of a tool' : 'calls tools'}`;
  return `${what}, but the chat template has no tools; train with "chat_template": "${WITH_TOOLS}", which adds them`;
}

/**
 * Jinja that stands before a template without tools. It describes the tools in the system message, and makes calls and results contents of
 * the messages that the template knows: calls as JSON between `<tool_call>` and `</tool_call>`, as the Hermes models write them, and
 * consecutive results as one message of the user. Lists and texts grow by `+`, since transformers renders in a sandbox without `append`.
 */
const PRELUDE = String.raw`{%- set plain = namespace(messages=[], text='', results='') -%}
{%- if tools -%}
{%- set plain.text = 'You can call these functions. Each line between <tools> and </tools> describes one as JSON:\n<tools>' -%}
{%- for tool in tools -%}{%- set plain.text = plain.text + '\n' + (tool | tojson) -%}{%- endfor -%}
{%- set plain.text = plain.text + '\n</tools>\n\nTo call a function, write its name and its arguments as JSON between <tool_call> and </tool_call>:\n<tool_call>\n{"name": "NAME", "arguments": {"ARGUMENT": "VALUE"}}\n</tool_call>' -%}
{%- if messages and messages[0].role == 'system' -%}{%- set plain.text = messages[0].content + '\n\n' + plain.text -%}{%- endif -%}
{%- set plain.messages = [{'role': 'system', 'content': plain.text}] -%}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'tool' -%}
{%- set plain.results = plain.results + ('\n' if plain.results else '') + '<tool_response>\n' + message.content + '\n</tool_response>' -%}
{%- if loop.last or messages[loop.index].role != 'tool' -%}
{%- set plain.messages = plain.messages + [{'role': 'user', 'content': plain.results}] -%}
{%- set plain.results = '' -%}
{%- endif -%}
{%- elif message.role == 'assistant' and message.tool_calls -%}
{%- set plain.text = message.content or '' -%}
{%- for call in message.tool_calls -%}
{%- set plain.text = plain.text + ('\n' if plain.text else '') + '<tool_call>\n{"name": ' + (call.function.name | tojson) + ', "arguments": ' + (call.function.arguments if call.function.arguments is string else call.function.arguments | tojson) + '}\n</tool_call>' -%}
{%- endfor -%}
{%- set plain.messages = plain.messages + [{'role': 'assistant', 'content': plain.text}] -%}
{%- elif not (tools and loop.first and message.role == 'system') -%}
{%- set plain.messages = plain.messages + [message] -%}
{%- endif -%}
{%- endfor -%}
{%- set messages = plain.messages %}
`;

/**
 * A template without tools, with tools. Marks of what the model generates become blocks without effect: they belong to messages that the
 * prelude replaces, and turns are found without them.
 */
export const addTools = (template: string): string =>
  PRELUDE +
  template.replaceAll(/(\{%[-+]?\s*)(end)?generation(?=\s*[-+]?%\})/g, (_, open: string, end?: string) =>
    end ? `${open}endif` : `${open}if true`,
  );
