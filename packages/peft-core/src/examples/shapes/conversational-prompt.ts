import { isRecord, show } from '../../schema/check-fields.ts';
import type { Shape } from './shape.ts';

const isList = (value: unknown): value is unknown[] =>
  Array.isArray(value) && value.every((each) => isRecord(each) && each.role !== undefined);

/**
 * TRL's conversational prompt and completion: lists of messages. Only the completion counts towards the loss, as with TRL's
 * `completion_only_loss`.
 */
export const conversationalPrompt: Shape = {
  name: 'conversational_prompt_completion',
  title: "TRL's conversational prompt and completion",
  columns: ['prompt', 'completion', 'tools', 'parallel_tool_calls'],
  sample:
    '{"prompt": [{"role": "user", "content": "Which tyre fits?"}], "completion": [{"role": "assistant", "content": "A 32."}]}',
  yields: false,
  matches: ({ prompt, completion, messages, chosen, rejected, label }) =>
    chosen === undefined &&
    rejected === undefined &&
    typeof label !== 'boolean' &&
    (Array.isArray(completion) || (Array.isArray(prompt) && messages === undefined)),
  convert({ prompt, completion, tools, parallel_tool_calls }) {
    if (!isList(prompt))
      return `"prompt" must be a list of messages, as "completion" is, got ${show(prompt)}`;
    if (!isList(completion) || completion.length === 0)
      return `"completion" must be a list of messages, as "prompt" is, got ${show(completion)}`;
    const before = prompt.map((message) => {
      const { role } = message as { role: unknown };
      return role === 'assistant' ? { ...(message as object), weight: 0 } : message;
    });
    return {
      messages: [...before, ...completion],
      ...(tools === undefined ? {} : { tools }),
      ...(parallel_tool_calls === undefined ? {} : { parallel_tool_calls }),
    };
  },
};
