import type { GenerationEvent, Usage } from '@graft/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorBody } from '../api-error.ts';
import { toApiError } from '../plugins/errors.ts';

/** The whole of a worker's answer. */
export interface WholeAnswer {
  text: string;
  finishReason: 'stop' | 'length';
  usage: Usage;
}

export async function readWhole(events: AsyncGenerator<GenerationEvent>): Promise<WholeAnswer> {
  let text = '';
  for await (const event of events) {
    if (event.type === 'token') text += event.text;
    else return { text, finishReason: event.finish_reason, usage: event.usage };
  }
  throw new Error('generate() ends with done or throws');
}

/** What makes the chunks of one kind of completion. */
export interface ChunkFormat {
  /** Before the first token; null for none. */
  opening(): object | null;
  token(text: string): object;
  closing(finishReason: 'stop' | 'length'): object;
  /** With `stream_options.include_usage`. */
  usage(usage: Usage): object;
}

/** Server-sent events: one chunk per token, `[DONE]` at the end. A fault in between becomes an `error` chunk, which is the last. */
export function streamAnswer(
  request: FastifyRequest,
  reply: FastifyReply,
  events: AsyncGenerator<GenerationEvent>,
  format: ChunkFormat,
  includeUsage: boolean,
): FastifyReply {
  return reply.stream('text/event-stream', async function* (signal) {
    try {
      const opening = format.opening();
      if (opening) yield dataOf(opening);
      for await (const event of events) {
        if (signal.aborted) return;
        if (event.type === 'token') yield dataOf(format.token(event.text));
        else {
          yield dataOf(format.closing(event.finish_reason));
          if (includeUsage) yield dataOf(format.usage(event.usage));
        }
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

/** Fires when the client hangs up before it has its answer. */
export function hangUp(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}
