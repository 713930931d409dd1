import type { CallPart, GenerationEvent, LikelyTokens } from '@graft/service/channel';
import type { Usage } from '@graft/wire/token-usage';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorBody } from '../api-error.ts';
import { toApiError } from '../to-api-error.ts';
import type { ChoiceEvent } from './choices.ts';

export type FinishReason = Extract<GenerationEvent, { type: 'done' }>['finish_reason'];

/** A complete response with all requested choices. */
export interface WholeAnswer {
  choices: {
    text: string;
    reasoning: string;
    calls: { id: string; name: string; arguments: string }[];
    /** Null if not requested. */
    likely: LikelyTokens[] | null;
    finishReason: FinishReason;
  }[];
  usage: Usage;
}

/** Bytes of a token with the probability and the text of one alternative, about. */
const bytesOfLikely = 64;

/** `withLikely`: whether probabilities were requested. `hold` is called with the bytes of each event, and may refuse them. */
export async function readWhole(
  events: AsyncGenerator<ChoiceEvent>,
  withLikely: boolean,
  hold: (bytes: number) => void,
): Promise<WholeAnswer> {
  const choices: WholeAnswer['choices'] = [];
  for await (const event of events) {
    if (event.type === 'usage') return { choices, usage: event.usage };
    choices[event.index] ??= {
      text: '',
      reasoning: '',
      calls: [],
      likely: withLikely ? [] : null,
      finishReason: 'stop',
    };
    const choice = choices[event.index]!;
    if (event.type === 'done') choice.finishReason = event.finish_reason;
    else {
      if (event.likely) hold((1 + event.likely.top.length) * bytesOfLikely);
      choice.text += event.text;
      choice.reasoning += event.reasoning ?? '';
      for (const part of event.calls ?? []) addPart(choice.calls, part);
      if (event.likely) choice.likely?.push(event.likely);
    }
  }
  throw new Error('generateChoices() ends with usage or throws');
}

function addPart(calls: WholeAnswer['choices'][number]['calls'], { index, ...part }: CallPart): void {
  calls[index] ??= { id: part.id ?? '', name: part.name ?? '', arguments: '' };
  calls[index].arguments += part.arguments;
}

/** The parts of an answer that a token completes. */
export interface TokenParts {
  text: string;
  reasoning: string;
  calls: readonly CallPart[];
}

/** How one kind of completion formats a choice of a chunk. */
export interface ChunkFormat {
  /** Fields at the start of every chunk. */
  head: object;
  /** Sent before the first token of a choice; null for none. */
  opening(index: number): object | null;
  /** The choices of one or more chunks; `likely` belongs to the first. */
  token(parts: TokenParts, index: number, likely: LikelyTokens[] | null): object[];
  closing(finishReason: FinishReason, index: number): object;
}

/**
 * Streams server-sent events: one chunk per token, of all choices as they arrive, then `[DONE]`. An error becomes an `error` chunk, which
 * is the last.
 */
export function streamAnswer(
  request: FastifyRequest,
  reply: FastifyReply,
  events: AsyncGenerator<ChoiceEvent>,
  format: ChunkFormat,
  includeUsage: boolean,
): FastifyReply {
  const chunk = (choice: object) => ({
    ...format.head,
    choices: [choice],
    // `stream_options.include_usage`: null in every chunk but the last.
    ...(includeUsage ? { usage: null } : {}),
  });
  return reply.stream('text/event-stream', async function* (signal) {
    try {
      const opened = new Set<number>();
      for await (const event of events) {
        if (signal.aborted) return;
        if (event.type === 'usage') {
          if (includeUsage) yield dataOf({ ...format.head, choices: [], usage: event.usage });
          continue;
        }
        const { index } = event;
        if (!opened.has(index)) {
          opened.add(index);
          const opening = format.opening(index);
          if (opening) yield dataOf(chunk(opening));
        }
        if (event.type === 'token') {
          const likely = event.likely ? [event.likely] : null;
          const { text, reasoning = '', calls = [] } = event;
          for (const choice of format.token({ text, reasoning, calls }, index, likely))
            yield dataOf(chunk(choice));
        } else yield dataOf(chunk(format.closing(event.finish_reason, index)));
      }
      yield 'data: [DONE]\n\n';
    } catch (error) {
      const { status, code, message, param } = toApiError(error as Error);
      request.log.warn({ err: error }, 'stream broke off');
      yield dataOf(errorBody(status, code, message, param));
    }
  });
}

function dataOf(chunk: object): string {
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

/** Fires when the client disconnects before it has the complete response. */
export function hangUp(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.destroyed) controller.abort();
  else reply.raw.once('close', () => controller.abort());
  return controller.signal;
}
