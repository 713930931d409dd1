import { graft } from '../../data/graft.ts';
import { chatBody, textBody } from './requests.ts';
import type { Answer, Asked, Piece } from './talk.ts';

/** What came of an answer: text, why it ended, or at last how many tokens it has. */
export interface News {
  piece: Piece;
  finish: Answer['finish'];
  count: number | null;
}

const streamed = { stream: true as const, stream_options: { include_usage: true } };

/** An answer as it comes. Throws what the client throws, also in the middle. */
export async function* readAnswer(asked: Asked, signal: AbortSignal): AsyncGenerator<News, void, void> {
  yield* asked.kind === 'chat' ? readChat(asked, signal) : readText(asked, signal);
}

async function* readChat(asked: Asked, signal: AbortSignal): AsyncGenerator<News, void, void> {
  const chunks = await graft.chat.completions.create({ ...chatBody(asked), ...streamed }, { signal });
  for await (const { choices, usage } of chunks) {
    const [choice] = choices;
    const tokens = (choice?.logprobs?.content ?? []).map(({ token, logprob, top_logprobs: top }) => ({
      ...{ token, logprob, top },
    }));
    yield {
      piece: { text: choice?.delta.content ?? '', tokens },
      finish: choice?.finish_reason ?? null,
      count: usage?.completion_tokens ?? null,
    };
  }
}

async function* readText(asked: Asked, signal: AbortSignal): AsyncGenerator<News, void, void> {
  const chunks = await graft.completions.create({ ...textBody(asked), ...streamed }, { signal });
  for await (const { choices, usage } of chunks) {
    const [choice] = choices;
    const told = choice?.logprobs;
    const tokens = (told?.tokens ?? []).map((token, i) => ({
      token,
      logprob: told!.token_logprobs[i]!,
      top: Object.entries(told!.top_logprobs[i] ?? {}).map(([token, logprob]) => ({ token, logprob })),
    }));
    yield {
      piece: { text: choice?.text ?? '', tokens },
      finish: choice?.finish_reason ?? null,
      count: usage?.completion_tokens ?? null,
    };
  }
}
