import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a worker announces: who it is, where it listens, and what it shows there. */
interface Announced {
  id: string;
  address: string | null;
  /** PEM. Null: it listens in the clear, or shows a certificate of the operator's authority. */
  certificate: string | null;
}

/**
 * Shows that who wrote the row holds GRAFT_INTERNAL_TOKEN, the secret that makes a process a worker. A login of the database alone
 * cannot make one, nor point that of another row elsewhere.
 */
export function proveWorker(internalToken: string, { id, address, certificate }: Announced): Buffer {
  const hmac = createHmac('sha256', `graft worker ${internalToken}`);
  return hmac.update(JSON.stringify([id, address, certificate])).digest();
}

export function isProved(internalToken: string, worker: Announced & { proof: Uint8Array | null }): boolean {
  const expected = proveWorker(internalToken, worker);
  return worker.proof?.length === expected.length && timingSafeEqual(worker.proof, expected);
}

/** Whether only this machine reaches the address, which nobody else then listens in on. */
export function isLoopback(address: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(new URL(address).hostname);
}
