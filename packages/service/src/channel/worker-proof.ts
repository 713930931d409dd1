import { createHmac, timingSafeEqual } from 'node:crypto';

/** Values that a worker announces: its id, its address, and its certificate. */
interface WorkerAnnouncement {
  id: string;
  address: string | null;
  /** PEM. Null: the worker listens without TLS, or uses a certificate of the operator's authority. */
  certificate: string | null;
}

/**
 * Computes a proof that the writer of the row holds GRAFT_INTERNAL_TOKEN, the secret of workers. Access to the database alone is not enough
 * to add a worker or to redirect an existing one to another address.
 */
export function proveWorker(internalToken: string, { id, address, certificate }: WorkerAnnouncement): Buffer {
  const hmac = createHmac('sha256', `graft worker ${internalToken}`);
  return hmac.update(JSON.stringify([id, address, certificate])).digest();
}

export function isProved(
  internalToken: string,
  worker: WorkerAnnouncement & { proof: Uint8Array | null },
): boolean {
  const expected = proveWorker(internalToken, worker);
  return worker.proof?.length === expected.length && timingSafeEqual(worker.proof, expected);
}

/** Returns whether the address is reachable only from this machine, so that no network peer can listen in. */
export function isLoopback(address: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(new URL(address).hostname);
}
