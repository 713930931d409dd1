import { graft } from '../../data/graft.ts';
import type { Answer, AnswerRequest, Piece } from './chat.ts';
import { chatBody, textBody } from './requests.ts';

/** A chunk of a streamed answer; the last one has the token count. */
export interface AnswerChunk {
  piece: Piece;
  finish: Answer['finish'];
  count: number | null;
}

const streamed = { stream: true as const, stream_options: { include_usage: true } };

/** Streams an answer. Throws the client's errors, also mid-stream. */
export async function* readAnswer(
  request: AnswerRequest,
  signal: AbortSignal,
): AsyncGenerator<AnswerChunk, void, void> {
  yield* request.kind === 'chat' ? readChat(request, signal) : readText(request, signal);
}

async function* readChat(
  request: AnswerRequest,
  signal: AbortSignal,
): AsyncGenerator<AnswerChunk, void, void> {
  const chunks = await graft.chat.completions.create({ ...chatBody(request), ...streamed }, { signal });
  for await (const { choices, usage } of chunks) {
    const [choice] = choices;
    const tokens = (choice?.logprobs?.content ?? []).map(({ token, logprob, top_logprobs: top }) => ({
      token,
      logprob,
      top,
    }));
    yield {
      piece: { text: choice?.delta.content ?? '', tokens },
      finish: choice?.finish_reason ?? null,
      count: usage?.completion_tokens ?? null,
    };
  }
}

async function* readText(
  request: AnswerRequest,
  signal: AbortSignal,
): AsyncGenerator<AnswerChunk, void, void> {
  const chunks = await graft.completions.create({ ...textBody(request), ...streamed }, { signal });
  for await (const { choices, usage } of chunks) {
    const [choice] = choices;
    const logprobs = choice?.logprobs;
    const tokens = (logprobs?.tokens ?? []).map((token, i) => ({
      token,
      logprob: logprobs!.token_logprobs[i]!,
      top: Object.entries(logprobs!.top_logprobs[i] ?? {}).map(([token, logprob]) => ({ token, logprob })),
    }));
    yield {
      piece: { text: choice?.text ?? '', tokens },
      finish: choice?.finish_reason ?? null,
      count: usage?.completion_tokens ?? null,
    };
  }
}
