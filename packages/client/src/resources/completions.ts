import { GraftApiError } from '../errors.ts';
import { type CallOptions, request } from '../operations.ts';
import { serverSentEvents } from '../server-sent-events.ts';
import type { Transport } from '../transport.ts';

/** `/chat/completions` or `/completions`: complete responses, or chunks as they are generated. */
export class Completions<Params extends object, Whole, Piece> {
  readonly #transport: Transport;
  readonly #name: 'POST /v1/chat/completions' | 'POST /v1/completions';

  constructor(transport: Transport, name: 'POST /v1/chat/completions' | 'POST /v1/completions') {
    this.#transport = transport;
    this.#name = name;
  }

  create(params: Params & { stream?: false }, options?: CallOptions): Promise<Whole>;
  create(
    params: Params & { stream: true },
    options?: CallOptions,
  ): Promise<AsyncGenerator<Piece, void, void>>;
  async create(
    params: Params & { stream?: boolean },
    options: CallOptions = {},
  ): Promise<Whole | AsyncGenerator<Piece, void, void>> {
    const spec = { ...request(this.#name), json: params, signal: options.signal };
    if (params.stream !== true) return this.#transport.json<Whole>(spec);
    const response = await this.#transport.open({ ...spec, headers: { accept: 'text/event-stream' } });
    return this.#pieces(response);
  }

  async *#pieces(response: Awaited<ReturnType<Transport['open']>>): AsyncGenerator<Piece, void, void> {
    for await (const message of serverSentEvents(response.bytes())) {
      if (message.data === '[DONE]') return;
      const piece: unknown = JSON.parse(message.data);
      if (typeof piece === 'object' && piece !== null && 'error' in piece && piece.error !== null) {
        throw GraftApiError.fromBody(message.data, {
          status: response.status,
          requestId: response.requestId,
        });
      }
      yield piece as Awaited<Piece>;
    }
    throw new GraftApiError({
      status: response.status,
      requestId: response.requestId,
      message: 'The response ended before it was complete. Send the request again.',
    });
  }
}
