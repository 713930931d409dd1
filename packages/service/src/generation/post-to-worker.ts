import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import {
  type GenerationRequest,
  generationPath,
  generationProtocol,
  modelDefaultsHeader,
  protocolHeader,
  teamHeader,
} from '../channel/protocol.ts';
import { signRequest } from '../channel/request-tokens.ts';
import { isLoopback, isProved } from '../channel/worker-proof.ts';
import { currentBehalf } from '../database/on-behalf-of.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { PickedWorker } from '../workers/worker-registry.ts';

// Until a worker is connected to, TLS included; a packet that is dropped is otherwise waited for for minutes.
const connectMilliseconds = 5_000;
// Of silence: a worker may have to fetch and load a base model before its first token.
const idleMilliseconds = 300_000;

/**
 * Sends one request, of the team that this runs for, to a worker's internal server, on a connection of its own, and resolves to its
 * answer. Nothing is sent, the token least of all, before the other end has proved to be that worker: by the certificate of its row, or
 * where the operator has set an authority, by one of that. Rejects when the worker cannot be reached or proved; aborting `signal`
 * breaks the connection.
 */
export async function postToWorker(
  worker: Pick<PickedWorker, 'id' | 'address' | 'certificate' | 'proof'>,
  request: GenerationRequest,
  options: { secrets: Pick<Secrets, 'pepper' | 'internalToken' | 'internalTls'>; signal: AbortSignal },
): Promise<IncomingMessage> {
  const { pepper, internalToken, internalTls } = options.secrets;
  const { address, certificate } = worker;
  if (!isProved(internalToken, worker))
    throw new Error(
      `${address} is not announced by a worker that holds this API's GRAFT_INTERNAL_TOKEN: set the same one for both, or look who wrote ` +
        `the row ${worker.id} of workers`,
    );
  const url = new URL(generationPath, address);
  const isEncrypted = url.protocol === 'https:';
  if (!isEncrypted && (internalTls || !isLoopback(address)))
    throw new Error(`${address} offers no TLS: only a worker on the API's own machine may go without`);
  if (isEncrypted && (certificate === null) !== (internalTls !== null))
    throw new Error(
      `${address} and this API do not agree on TLS: set GRAFT_INTERNAL_TLS_CERT, _KEY and _CA for API and workers alike, or for neither`,
    );
  const { model_defaults = [], ...fields } = request;
  const body = Buffer.from(JSON.stringify(fields));
  const behalf = currentBehalf();
  const sent = (isEncrypted ? https : http).request(url, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${signRequest(pepper, worker.id)}`,
      'content-type': 'application/json',
      'content-length': body.length,
      [protocolHeader]: String(generationProtocol),
      ...(typeof behalf === 'object' ? { [teamHeader]: behalf.team } : {}),
      ...(model_defaults.length > 0 ? { [modelDefaultsHeader]: model_defaults.join(',') } : {}),
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
  // Without a listener, one that breaks off while its answer is read would end this process; the reader is told.
  sent.on('error', () => {});
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}

/** The certificate of a worker's row and no other one; it names no host, since it is not looked up by one. */
function ownOf(certificate: string): https.RequestOptions {
  return { ca: certificate, checkServerIdentity: () => undefined };
}
