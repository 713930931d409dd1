import type { ChatCompletionParams, CompletionParams } from '@graft/client';
import { shellQuoted } from '../../text/shell.ts';
import type { Asked } from './talk.ts';

/** Alternatives that are told for each token. */
const mostLikely = 5;

/** The body of POST /chat/completions. */
export function chatBody({
  model,
  system,
  before,
  prompt,
  sampling,
  probabilities,
}: Asked): ChatCompletionParams {
  return {
    model,
    messages: [
      ...(system ? [{ role: 'system' as const, content: system }] : []),
      ...before.flatMap(({ prompt, answer }) => [
        { role: 'user' as const, content: prompt },
        { role: 'assistant' as const, content: answer },
      ]),
      { role: 'user', content: prompt },
    ],
    ...samplingBody(sampling),
    ...(probabilities && { logprobs: true, top_logprobs: mostLikely }),
  };
}

/** The body of POST /completions. */
export function textBody({ model, prompt, sampling, probabilities }: Asked): CompletionParams {
  return { model, prompt, ...samplingBody(sampling), ...(probabilities && { logprobs: mostLikely }) };
}

const samplingBody = ({ stop, ...numbers }: Asked['sampling']) => ({
  ...numbers,
  ...(stop.length > 0 && { stop }),
});

/** The same request for a shell; the key is the shell's own. `origin` is this server's. */
export function curlOf(asked: Asked, origin: string): string {
  const [path, body] =
    asked.kind === 'chat' ? ['chat/completions', chatBody(asked)] : ['completions', textBody(asked)];
  return `curl ${origin}/v1/${path} \\
  -H "Authorization: Bearer $GRAFT_API_KEY" -H "Content-Type: application/json" \\
  -d ${shellQuoted(JSON.stringify(body, null, 2))}`;
}
