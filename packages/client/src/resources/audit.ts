import { PageList } from '../page-list.ts';
import type { AuditEntryObject, AuditFilterParams } from '../team-objects.ts';
import type { OpenResponse, Transport } from '../transport.ts';

/** Who did what in the team. For its admins. */
export class Audit {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Newest first. */
  list(params: AuditFilterParams & { limit?: number } = {}): PageList<AuditEntryObject> {
    return new PageList(this.#transport, '/audit', { ...params });
  }

  /** Lines of JSON, or CSV, oldest first: at most `limit` entries, 10,000 unless told otherwise. */
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
