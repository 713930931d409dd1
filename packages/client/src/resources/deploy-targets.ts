import { PageList } from '../page-list.ts';
import type { Transport } from '../transport.ts';
import type { CreateDeployTarget, Deleted, DeployTarget, UpdateDeployTarget } from '../types.ts';

/** Runtimes, such as vLLM servers, that serve the version that a tag points at. */
export class DeployTargets {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** For keys with the role admin. Not retried: the second request would find the name taken. */
  create(params: CreateDeployTarget): Promise<DeployTarget> {
    return this.#transport.json({ method: 'POST', path: '/deploy_targets', json: params, maxRetries: 0 });
  }

  /** Lists targets, newest first. */
  list(params: { adapter_id?: string; limit?: number; after?: string } = {}): PageList<DeployTarget> {
    return new PageList(this.#transport, '/deploy_targets', params);
  }

  retrieve(id: string): Promise<DeployTarget> {
    return this.#transport.json({ method: 'GET', path: targetPath(id) });
  }

  /** Fields that are not given stay unchanged. */
  update(id: string, params: UpdateDeployTarget): Promise<DeployTarget> {
    return this.#transport.json({ method: 'POST', path: targetPath(id), json: params });
  }

  /** Compares the runtime with the tag immediately. */
  retry(id: string): Promise<DeployTarget> {
    return this.#transport.json({ method: 'POST', path: `${targetPath(id)}/retry` });
  }

  /** The runtime then unloads the adapter. */
  delete(id: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: targetPath(id) });
  }
}

const targetPath = (id: string): string => `/deploy_targets/${encodeURIComponent(id)}`;
