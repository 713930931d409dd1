import type { ChatCompletionParams, CompletionParams } from '@graft/client';
import { shellQuoted } from '../../text/shell.ts';
import type { AnswerRequest, PastAnswer, Step } from './chat.ts';

/** Alternatives returned for each token (`top_logprobs`). */
const topTokens = 5;

/** The body of POST /chat/completions. */
export function chatBody({
  model,
  system,
  before,
  prompt,
  steps,
  tools,
  sampling,
  probabilities,
}: AnswerRequest): ChatCompletionParams {
  return {
    model,
    messages: [
      ...(system ? [{ role: 'system' as const, content: system }] : []),
      ...before.flatMap(({ prompt, steps, ...answer }) => [
        { role: 'user' as const, content: prompt },
        ...steps.flatMap(messagesOf),
        ...(answer.text !== '' || answer.calls.length > 0 ? [assistantMessage(answer)] : []),
      ]),
      { role: 'user', content: prompt },
      ...steps.flatMap(messagesOf),
    ],
    ...(tools.length > 0 && { tools }),
    ...samplingBody(sampling),
    ...(probabilities && { logprobs: true, top_logprobs: topTokens }),
  };
}

type Messages = ChatCompletionParams['messages'];

/** An answer as the API returned it. */
const assistantMessage = ({ text, reasoning, calls }: Omit<PastAnswer, 'steps'>): Messages[number] => ({
  role: 'assistant',
  content: text || null,
  ...(reasoning && { reasoning_content: reasoning }),
  ...(calls.length > 0 && {
    tool_calls: calls.map(({ id, name, arguments: json }) => ({
      id,
      type: 'function' as const,
      function: { name, arguments: json },
    })),
  }),
});

/** The messages of an answer with tool calls and of its results. */
const messagesOf = ({ results, ...step }: Step): Messages => [
  assistantMessage(step),
  ...step.calls.map(({ id }, i) => ({ role: 'tool' as const, tool_call_id: id, content: results[i] ?? '' })),
];

/** The body of POST /completions. */
export function textBody({ model, prompt, sampling, probabilities }: AnswerRequest): CompletionParams {
  return { model, prompt, ...samplingBody(sampling), ...(probabilities && { logprobs: topTokens }) };
}

const samplingBody = ({ stop, ...numbers }: AnswerRequest['sampling']) => ({
  ...numbers,
  ...(stop.length > 0 && { stop }),
});

/** The request as a curl command, which reads the API key from the environment. `origin`: this server. */
export function toCurl(request: AnswerRequest, origin: string): string {
  const [path, body] =
    request.kind === 'chat' ? ['chat/completions', chatBody(request)] : ['completions', textBody(request)];
  return `curl ${origin}/v1/${path} \\
  -H "Authorization: Bearer $GRAFT_API_KEY" -H "Content-Type: application/json" \\
  -d ${shellQuoted(JSON.stringify(body, null, 2))}`;
}
