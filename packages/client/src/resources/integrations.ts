import type { Transport } from '../transport.ts';
import type { Deleted, Integration, IntegrationParams, IntegrationType } from '../types.ts';

/** The accounts with which a team tracks its experiments: at most one of each type. */
export class Integrations {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(): Promise<Integration[]> {
    const { data } = await this.#transport.json<{ data: Integration[] }>({
      method: 'GET',
      path: '/integrations',
    });
    return data;
  }

  retrieve(type: IntegrationType): Promise<Integration> {
    return this.#transport.json({ method: 'GET', path: integrationPath(type) });
  }

  /** Creates an integration, or changes the given settings. For keys with the role admin. */
  set(type: IntegrationType, params: IntegrationParams): Promise<Integration> {
    return this.#transport.json({ method: 'POST', path: integrationPath(type), json: params });
  }

  delete(type: IntegrationType): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: integrationPath(type) });
  }
}

const integrationPath = (type: string): string => `/integrations/${encodeURIComponent(type)}`;
