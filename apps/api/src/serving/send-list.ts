import { setImmediate as turn } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';

/** Number of values up to which a response is serialised at once, which takes a few milliseconds. */
const fewValues = 20_000;
/** Characters of a piece of a longer response. */
const pieceCharacters = 64 * 1024;

/**
 * Responds with `{...head, data, ...end}`. A long list is written piece by piece, so that it neither blocks the event loop nor is in memory
 * as a whole. `values`: number of values in all items.
 */
export function sendList<Head extends object, Item, End extends object>(
  reply: FastifyReply,
  {
    head,
    end,
    count,
    values,
    item,
  }: { head: Head; end: End; count: number; values: number; item(i: number): Item },
) {
  if (values <= fewValues) {
    return { ...head, data: Array.from({ length: count }, (_, i) => item(i)), ...end };
  }
  const pieces = async function* (signal: AbortSignal) {
    let piece = `${JSON.stringify(head).slice(0, -1)},"data":[`;
    for (let i = 0; i < count; i++) {
      piece += `${i > 0 ? ',' : ''}${JSON.stringify(item(i))}`;
      if (piece.length < pieceCharacters) continue;
      yield piece;
      piece = '';
      // A fast reader asks for the next piece in the same turn of the event loop.
      await turn();
      // A response that ended normally would look complete.
      if (signal.aborted) throw new Error('the response was ended before its last item');
    }
    yield `${piece}],${JSON.stringify(end).slice(1)}`;
  };
  // It is counted as a completion, and a refusal now would waste what was computed.
  return reply.stream('application/json; charset=utf-8', pieces, { isHeld: true });
}
