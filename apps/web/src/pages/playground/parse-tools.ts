import type { ChatCompletionParams } from '@graft/client';

export type Tools = NonNullable<ChatCompletionParams['tools']>;

/** Shown in an empty field. */
export const toolsExample = `[{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]`;

/** The tools of a text, a JSON list as in a request; an empty text has none. The API checks the rest. */
export function parseTools(text: string): { tools: Tools; fault: string | null } {
  if (text.trim() === '') return { tools: [], fault: null };
  const invalid = (fault: string) => ({ tools: [], fault });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return invalid(`Not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(value)) return invalid('A JSON list of tools.');
  const at = value.findIndex((tool) => typeof tool?.function?.name !== 'string');
  if (at !== -1) return invalid(`Tool ${at + 1} has no function with a name.`);
  return { tools: value as Tools, fault: null };
}
