import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { generationProtocol, protocolHeader, teamHeader } from '../channel/protocol.ts';
import { signRequest } from '../channel/request-tokens.ts';
import { isLoopback, isProved } from '../channel/worker-proof.ts';
import { currentScope } from '../database/database-scope.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { PickedWorker } from '../workers/worker-registry.ts';

// Limit for connecting, TLS included; after a dropped packet it would otherwise take minutes.
const connectMilliseconds = 5_000;
// Limit of silence: a worker may have to fetch and load a base model before its first token.
const idleMilliseconds = 300_000;

export interface WorkerCall {
  path: string;
  body: object;
  /** Besides those of every request. */
  headers: Readonly<Record<string, string>>;
}

/**
 * Sends one request, for the team of the current scope, to a worker's internal server on a separate connection, and returns the response.
 * Sends nothing, in particular no token, before the server has proved to be that worker: by the certificate in its row, or, if the
 * operator has set a certificate authority, by a certificate of that authority. Rejects if the worker cannot be reached or verified;
 * aborting `signal` closes the connection.
 */
export async function postToWorker(
  worker: Pick<PickedWorker, 'id' | 'address' | 'certificate' | 'proof'>,
  { path, body: sentBody, headers }: WorkerCall,
  options: { secrets: Pick<Secrets, 'pepper' | 'internalToken' | 'internalTls'>; signal: AbortSignal },
): Promise<IncomingMessage> {
  const { pepper, internalToken, internalTls } = options.secrets;
  const { address, certificate } = worker;
  if (!isProved(internalToken, worker))
    throw new Error(
      `${address} is not announced by a worker that holds this API's GRAFT_INTERNAL_TOKEN: set the same one for both, or look who wrote ` +
        `the row ${worker.id} of workers`,
    );
  const url = new URL(path, address);
  const isEncrypted = url.protocol === 'https:';
  if (!isEncrypted && (internalTls || !isLoopback(address)))
    throw new Error(`${address} offers no TLS: only a worker on the API's own machine may go without`);
  if (isEncrypted && (certificate === null) !== (internalTls !== null))
    throw new Error(
      `${address} and this API do not agree on TLS: set GRAFT_INTERNAL_TLS_CERT, _KEY and _CA for API and workers alike, or for neither`,
    );
  const body = Buffer.from(JSON.stringify(sentBody));
  const behalf = currentScope();
  const sent = (isEncrypted ? https : http).request(url, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${signRequest(pepper, worker.id)}`,
      'content-type': 'application/json',
      'content-length': body.length,
      [protocolHeader]: String(generationProtocol),
      ...(typeof behalf === 'object' ? { [teamHeader]: behalf.team } : {}),
      ...headers,
    },
    signal: options.signal,
    timeout: idleMilliseconds,
    ...(isEncrypted ? { minVersion: 'TLSv1.3' as const, ...(internalTls ?? ownOf(certificate!)) } : {}),
  });
  sent.on('timeout', () => sent.destroy(new Error('the worker was silent for too long')));
  const late = setTimeout(
    () => sent.destroy(new Error('the worker did not connect in time')),
    connectMilliseconds,
  );
  sent.once('socket', (socket) =>
    socket.once(isEncrypted ? 'secureConnect' : 'connect', () => clearTimeout(late)),
  );
  sent.once('close', () => clearTimeout(late));
  // Without a listener, an error while the response is read would end this process; the reader gets the error anyway.
  sent.on('error', () => {});
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}

/** Trusts only the certificate of the worker's row; it contains no host name to check. */
function ownOf(certificate: string): https.RequestOptions {
  return { ca: certificate, checkServerIdentity: () => undefined };
}
