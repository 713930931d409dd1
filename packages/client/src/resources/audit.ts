import { PageList } from '../page-list.ts';
import type { OpenResponse, Transport } from '../transport.ts';
import type { AuditEntryObject, AuditFilterParams } from '../types.ts';

/** Audit log of the team, for its admins. */
export class Audit {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists entries, newest first. */
  list(params: AuditFilterParams & { limit?: number } = {}): PageList<AuditEntryObject> {
    return new PageList(this.#transport, '/audit', { ...params });
  }

  /** Exports entries as lines of JSON or as CSV, oldest first: at most `limit` entries, by default 10,000. */
  export(
    params: AuditFilterParams & { limit?: number; format?: 'jsonl' | 'csv' } = {},
  ): Promise<OpenResponse> {
    return this.#transport.open({
      method: 'GET',
      path: '/audit/export',
      query: { ...params },
      headers: { accept: '*/*' },
    });
  }
}
