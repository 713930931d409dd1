import type { Query, Transport } from './transport.ts';

export interface Page<T> {
  object: 'list';
  data: T[];
  has_more: boolean;
  first_id?: string | null;
  last_id?: string | null;
}

/** A list of the API. Iterating fetches pages as they are needed. */
export class PageList<T extends { id: string }> implements AsyncIterable<T> {
  readonly #transport: Transport;
  readonly #path: string;
  readonly #query: Query;
  readonly #signal: AbortSignal | undefined;

  constructor(transport: Transport, path: string, query: Query, signal?: AbortSignal | undefined) {
    this.#transport = transport;
    this.#path = path;
    this.#query = query;
    this.#signal = signal;
  }

  /** Fetches one page: the first, or the one after the item with this id. */
  page(after?: string): Promise<Page<T>> {
    const query = after === undefined ? this.#query : { ...this.#query, after };
    return this.#transport.json({ method: 'GET', path: this.#path, query, signal: this.#signal });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    let after: string | undefined;
    for (;;) {
      const page = await this.page(after);
      yield* page.data;
      const last = page.last_id ?? page.data.at(-1)?.id;
      // A page that does not advance the cursor would be requested forever.
      if (!page.has_more || last === undefined || last === after) return;
      after = last;
    }
  }

  /** Returns every item, or the first `limit` items. */
  async toArray(limit = Number.POSITIVE_INFINITY): Promise<T[]> {
    const items: T[] = [];
    if (limit <= 0) return items;
    for await (const item of this) {
      items.push(item);
      if (items.length >= limit) break;
    }
    return items;
  }
}
