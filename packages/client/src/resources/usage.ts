import { request } from '../operations.ts';
import type { OpenResponse, Transport } from '../transport.ts';
import type { UsageBucket, UsagePage, UsageParams } from '../types.ts';

/** Usage by day: of the key's team, or with an operator key of all teams. */
export class Usage {
  readonly #transport: Transport;
  readonly #name: 'GET /v1/usage' | 'GET /v1/admin/usage';

  constructor(transport: Transport, name: 'GET /v1/usage' | 'GET /v1/admin/usage') {
    this.#transport = transport;
    this.#name = name;
  }

  /** Returns one page; continue with its `next_page`. */
  page(params: UsageParams & { page?: string }): Promise<UsagePage> {
    return this.#transport.json({ ...request(this.#name), query: { ...params } });
  }

  /** Yields every day of the range, fetching page after page. A day with very many results is split into several buckets. */
  async *days(params: UsageParams): AsyncGenerator<UsageBucket, void, void> {
    for (let page: string | null | undefined; page !== null; ) {
      const answer: UsagePage = await this.page(page === undefined ? params : { ...params, page });
      yield* answer.data;
      page = answer.next_page;
    }
  }

  /** Yields the usage as pieces of a CSV file, with one header line. */
  async *csv(params: UsageParams): AsyncGenerator<string, void, void> {
    for (let page: string | null | undefined; page !== null; ) {
      const query = { ...params, format: 'csv', ...(page === undefined ? {} : { page }) };
      const headers = { accept: 'text/csv' };
      const answer: OpenResponse = await this.#transport.open({ ...request(this.#name), query, headers });
      const text = await answer.text();
      yield page === undefined ? text : text.slice(text.indexOf('\n') + 1);
      page = answer.headers.get('x-next-page');
    }
  }
}
