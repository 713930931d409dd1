import { isRecord, show } from '../../schema/check-fields.ts';
import { alpaca, questionAnswer, questionPreference } from './question-answer.ts';
import type { Shape } from './shape.ts';
import { sharegpt } from './sharegpt.ts';

const isList = (value: unknown): value is unknown[] =>
  Array.isArray(value) && value.every((each) => isRecord(each) && each.role !== undefined);

/**
 * TRL's conversational prompt and completion: lists of messages. Only the completion counts towards the loss, as with TRL's
 * `completion_only_loss`.
 */
const conversationalPrompt: Shape = {
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

/** OpenAI's lines for preference training (Together's and Azure's, too). */
const openaiPreference: Shape = {
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

/** All shapes of rows that are converted to a format, in the order in which a row is compared with them. */
export const shapes: readonly Shape[] = [
  sharegpt,
  conversationalPrompt,
  openaiPreference,
  questionPreference,
  alpaca,
  questionAnswer,
];
