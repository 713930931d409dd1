import { lookup } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { promisify } from 'node:util';
import type { EgressRules } from './address-rules.ts';
import { hostOf, inside, publicFault } from './team-url.ts';

/** Why nothing was delivered, in words for the team: nothing of what lies inside. */
export class EgressError extends Error {
  override readonly name = 'EgressError';
}

/** The addresses of a name. Rejects when there are none. */
export type Resolve = (hostname: string) => Promise<string[]>;

export interface EgressLimits {
  /** Milliseconds until DNS has answered, and until the connection, TLS included, is there. */
  connectMs: number;
  /** Milliseconds for all of it. */
  wholeMs: number;
}

export interface Egress extends EgressLimits {
  rules: EgressRules;
  resolve: Resolve;
}

/** Bytes of an answer to a webhook that are read, for the receiver's sake: nothing is done with them. */
const mostDrained = 16 * 1024;
const drainMs = 1_000;
/** A name with more addresses is somebody's game. */
const mostAddresses = 32;

/**
 * Asks DNS without the threads of the file system, which a team's slow name server could hold. /etc/hosts is for names that the
 * operator has opened. `servers`: others than the machine's, for tests.
 */
export function createResolve(
  rules: EgressRules,
  options: { timeoutMs: number; servers?: string[] },
): Resolve {
  const resolver = new Resolver({ timeout: options.timeoutMs, tries: 2 });
  if (options.servers) resolver.setServers(options.servers);
  return async (hostname) => {
    if (rules.opensHost(hostname)) {
      return (await promisify(lookup)(hostname, { all: true })).map(({ address }) => address);
    }
    const found = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    return found.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  };
}

export interface PinnedRequest {
  method?: 'GET' | 'POST' | 'PUT';
  headers: Record<string, string>;
  body: string;
}

export interface PinnedAnswer {
  status: number;
  retryAfter: string | undefined;
  body: Buffer;
  /** False: `body` is its beginning. */
  isWhole: boolean;
}

/** Posts to a receiver, whose answer's body counts for nothing. As `requestPinned`. */
export async function postPinned(
  url: URL,
  message: PinnedRequest,
  egress: Egress,
): Promise<Pick<PinnedAnswer, 'status' | 'retryAfter'>> {
  const { status, retryAfter } = await requestPinned(url, message, egress, {
    mostBytes: mostDrained,
    bodyMs: drainMs,
  });
  return { status, retryAfter };
}

/**
 * Asks a server whose name is resolved once: each of its addresses must be allowed, and only to these is connected, whatever the
 * name leads to a moment later. Redirects are answers like any other. Resolves with the answer, of whose body at most `mostBytes` are
 * read, for `bodyMs`; throws EgressError when there was none, also because `signal` fired.
 */
export async function requestPinned(
  url: URL,
  message: PinnedRequest,
  egress: Egress,
  limits: { mostBytes: number; bodyMs: number; signal?: AbortSignal },
): Promise<PinnedAnswer> {
  const timeout = AbortSignal.timeout(egress.wholeMs);
  const whole = limits.signal ? AbortSignal.any([timeout, limits.signal]) : timeout;
  const host = hostOf(url);
  const addresses = isIP(host) ? [host] : await resolveInTime(host, egress);
  if (addresses.length > mostAddresses) throw new EgressError('The host has too many addresses.');
  if (!addresses.every((address) => egress.rules.allows(address, host))) {
    throw new EgressError(`The URL ${inside(egress.rules)}.`);
  }
  const isOpened = addresses.every((address) => egress.rules.opens(address, host));
  const fault = isOpened ? null : publicFault(url);
  if (fault) throw new EgressError(`The URL ${fault}.`);

  const { request } = url.protocol === 'https:' ? https : http;
  return await new Promise((resolve, reject) => {
    const sent = request({
      protocol: url.protocol,
      host,
      port: url.port || null,
      path: url.pathname + url.search,
      method: message.method ?? 'POST',
      headers: { ...message.headers, host: url.host, 'content-length': Buffer.byteLength(message.body) },
      lookup: pinnedTo(addresses),
      // One connection for one request: it is always one whose address was just checked.
      agent: false,
      signal: whole,
      maxHeaderSize: 8 * 1024,
      insecureHTTPParser: false,
      ...(url.protocol === 'https:' && { rejectUnauthorized: true }),
    });
    const connecting = setTimeout(
      () => sent.destroy(new EgressError('The receiver took too long to connect to.')),
      egress.connectMs,
    );
    const connected = () => clearTimeout(connecting);
    sent.on('socket', (socket: Socket) =>
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', connected),
    );
    sent.on('error', (error) => {
      connected();
      reject(whole.aborted ? new EgressError('The receiver took too long to answer.') : explain(error));
    });
    sent.on('upgrade', () => sent.destroy(new EgressError('The receiver wants another protocol.')));
    sent.on('response', (response) => {
      connected();
      const answer = { status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] };
      read(response, limits, (body, isWhole) => {
        sent.destroy();
        resolve({ ...answer, body, isWhole });
      });
    });
    sent.end(message.body);
  });
}

async function resolveInTime(host: string, { resolve, connectMs }: Egress): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('late')), connectMs);
  });
  const addresses = await Promise.race([resolve(host), late])
    .catch(() => [])
    .finally(() => clearTimeout(timer));
  if (addresses.length === 0) throw new EgressError('The host name of the URL cannot be resolved.');
  return addresses;
}

function pinnedTo(addresses: string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_hostname, options, callback) => {
    if (options.all) return callback(null, all);
    callback(null, all[0]!.address, all[0]!.family);
  };
}

/** Calls `done` once: at the end of the body, or when enough of it was read, or it took long. */
function read(
  response: IncomingMessage,
  { mostBytes, bodyMs }: { mostBytes: number; bodyMs: number },
  done: (body: Buffer, isWhole: boolean) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let over = false;
  const finish = (isWhole: boolean) => {
    clearTimeout(timer);
    if (!over) done(Buffer.concat(chunks).subarray(0, mostBytes), isWhole);
    over = true;
  };
  const timer = setTimeout(() => finish(false), bodyMs);
  response.on('data', (chunk: Buffer) => {
    if (over) return;
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > mostBytes) finish(false);
  });
  response.once('end', () => finish(true));
  for (const event of ['error', 'close']) response.once(event, () => finish(false));
}

/** The code alone: messages of the system name addresses. */
function explain(error: Error): EgressError {
  if (error instanceof EgressError) return error;
  const { code = 'unknown' } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ECONNREFUSED':
      return new EgressError('The receiver refuses connections.');
    case 'ECONNRESET':
      return new EgressError('The receiver hung up without an answer.');
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return new EgressError('The receiver cannot be reached.');
  }
  if (/^(?:CERT|UNABLE|DEPTH|SELF|ERR_TLS|EPROTO|ERR_SSL)/.test(code)) {
    return new EgressError(`TLS with the receiver failed: ${code}.`);
  }
  return new EgressError(`Sending failed: ${code}.`);
}
