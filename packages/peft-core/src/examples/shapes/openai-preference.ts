import { isRecord, show } from '../../schema/check-fields.ts';
import type { Shape } from './shape.ts';

/** OpenAI's lines for preference training (Together's and Azure's, too). */
export const openaiPreference: Shape = {
  name: 'openai_preference',
  title: "OpenAI's preferences",
  columns: ['input', 'preferred_output', 'non_preferred_output'],
  sample:
    '{"input": {"messages": [{"role": "user", "content": "Which tyre fits?"}]}, "preferred_output": [{"role": "assistant", "content": "A 32."}], "non_preferred_output": [{"role": "assistant", "content": "Any."}]}',
  yields: false,
  matches: ({ preferred_output, non_preferred_output }) =>
    preferred_output !== undefined || non_preferred_output !== undefined,
  convert({ input, preferred_output, non_preferred_output }) {
    if (!isRecord(input) || !Array.isArray(input.messages))
      return `"input" must be {"messages": […]}, got ${show(input)}`;
    const { messages, tools, parallel_tool_calls } = input;
    return {
      prompt: messages,
      chosen: preferred_output,
      rejected: non_preferred_output,
      ...(tools === undefined ? {} : { tools }),
      ...(parallel_tool_calls === undefined ? {} : { parallel_tool_calls }),
    };
  },
};
