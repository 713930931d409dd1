import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { currentBehalf } from '../database/on-behalf-of.ts';
import type { Secrets } from '../secrets.ts';
import {
  type GenerationRequest,
  generationPath,
  generationProtocol,
  protocolHeader,
  teamHeader,
} from './protocol.ts';

// Until a worker is connected to, TLS included; a packet that is dropped is otherwise waited for for minutes.
const connectMilliseconds = 5_000;
// Of silence: a worker may have to fetch and load a base model before its first token.
const idleMilliseconds = 300_000;

/**
 * Sends one request, of the team that this runs for, to a worker's internal server, on a connection of its own, and resolves to its answer. Where TLS is
 * set, both sides show a certificate, and a worker that offers none is told nothing, the token least of all. Rejects when the
 * worker cannot be reached or proved; aborting `signal` breaks the connection.
 */
export async function postToWorker(
  address: string,
  request: GenerationRequest,
  options: { secrets: Pick<Secrets, 'internalToken' | 'internalTls'>; signal: AbortSignal },
): Promise<IncomingMessage> {
  const { internalToken, internalTls } = options.secrets;
  const url = new URL(generationPath, address);
  const isEncrypted = url.protocol === 'https:';
  if (isEncrypted !== (internalTls !== null)) {
    throw new Error(
      `${address} ${isEncrypted ? 'wants' : 'offers no'} TLS: set GRAFT_INTERNAL_TLS_CERT, _KEY and _CA for API and workers alike`,
    );
  }
  const body = Buffer.from(JSON.stringify(request));
  const behalf = currentBehalf();
  const sent = (isEncrypted ? https : http).request(url, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${internalToken}`,
      'content-type': 'application/json',
      'content-length': body.length,
      [protocolHeader]: String(generationProtocol),
      ...(typeof behalf === 'object' ? { [teamHeader]: behalf.team } : {}),
    },
    signal: options.signal,
    timeout: idleMilliseconds,
    ...(internalTls ? { ...internalTls, minVersion: 'TLSv1.3' as const } : {}),
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
