import { graft } from '../../data/graft.ts';
import type { Answer, AnswerRequest, Piece, ToolCall } from './chat.ts';
import { chatBody, textBody } from './requests.ts';

/** A chunk of a streamed answer; the last one has the token count. */
export interface AnswerChunk {
  piece: Piece;
  reasoning: string;
  /** Parts of calls; only the first part of a call has an id and a name. */
  calls: (Partial<ToolCall> & { index: number })[];
  finish: Answer['finish'];
  count: number | null;
}

const streamed = { stream: true as const, stream_options: { include_usage: true } };

/** Streams an answer. Throws the client's errors, also mid-stream. */
export async function* readAnswer(
  request: AnswerRequest,
  signal: AbortSignal,
): AsyncGenerator<AnswerChunk, void, void> {
  if (request.kind === 'chat') {
    const chunks = await graft.chat.completions.create({ ...chatBody(request), ...streamed }, { signal });
    for await (const { choices, usage } of chunks) {
      const [choice] = choices;
      const tokens = (choice?.logprobs?.content ?? []).map(({ token, logprob, top_logprobs: top }) => ({
        token,
        logprob,
        top,
      }));
      const { content, reasoning_content: reasoning = '', tool_calls = [] } = choice?.delta ?? {};
      const calls = tool_calls.map(({ index, id, function: part }) => ({
        index,
        ...(id && { id }),
        ...part,
      }));
      yield { ...chunkOf(content, tokens, choice, usage), reasoning, calls };
    }
  } else {
    const chunks = await graft.completions.create({ ...textBody(request), ...streamed }, { signal });
    for await (const { choices, usage } of chunks) {
      const [choice] = choices;
      const logprobs = choice?.logprobs;
      const tokens = (logprobs?.tokens ?? []).map((token, i) => ({
        token,
        logprob: logprobs!.token_logprobs[i]!,
        top: Object.entries(logprobs!.top_logprobs[i] ?? {}).map(([token, logprob]) => ({ token, logprob })),
      }));
      yield chunkOf(choice?.text, tokens, choice, usage);
    }
  }
}

const chunkOf = (
  text: string | null | undefined,
  tokens: Piece['tokens'],
  choice: { finish_reason: Answer['finish'] } | undefined,
  usage: { completion_tokens: number } | null | undefined,
): AnswerChunk => ({
  piece: { text: text ?? '', tokens },
  reasoning: '',
  calls: [],
  finish: choice?.finish_reason ?? null,
  count: usage?.completion_tokens ?? null,
});
