import { lookup } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { promisify } from 'node:util';
import type { EgressRules } from './address-rules.ts';
import { hostOf, inside, portOf, publicFault } from './team-url.ts';

/** Why a request was not delivered, as a message for the team that reveals nothing about the internal network. */
export class EgressError extends Error {
  override readonly name = 'EgressError';
  /** Details for the operator alone: they show which names, addresses and ports of the internal network exist. */
  readonly detail: string;

  constructor(message: string, detail = message) {
    super(message);
    this.detail = detail;
  }
}

/** The one message for everything that ends without an HTTP answer: it never shows which names, addresses and ports exist. */
export function noAnswer({ setting }: Pick<EgressRules, 'setting'>, detail: string): EgressError {
  return new EgressError(
    `No answer came from the server: check that it runs at this address and port, with a valid certificate if the address begins with https://. If it is not on the internet, the operator of this server opens its address and port (${setting}).`,
    detail,
  );
}

/** Resolves a name to its addresses. Rejects if there are none. */
export type Resolve = (hostname: string) => Promise<string[]>;

export interface EgressLimits {
  /** Milliseconds for DNS, and for the connection including TLS. */
  connectMs: number;
  wholeMs: number;
}

export interface Egress extends EgressLimits {
  rules: EgressRules;
  resolve: Resolve;
  /**
   * Awaited before each connection; rejects if the exit was ended. So once an exit is ended, at most the request that is under way is still
   * sent.
   */
  confirm?(): Promise<void>;
}

/** Bytes of a webhook's response that are read and discarded, so that the receiver can finish sending. */
const maxDrainedBytes = 16 * 1024;
const drainMs = 1_000;
/** Maximum number of addresses of a name; more suggest abuse. */
const maxAddresses = 32;

/**
 * Creates a resolver that avoids the thread pool of file operations, which a team's slow name server could exhaust. Reads /etc/hosts only
 * for names that the operator opened. `servers` replaces the machine's name servers, for tests.
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
  /** False: `body` is only the beginning of the response body. */
  isWhole: boolean;
}

/** Posts to a receiver and discards the response body. See `requestPinned`. */
export async function postPinned(
  url: URL,
  message: PinnedRequest,
  egress: Egress,
): Promise<Pick<PinnedAnswer, 'status' | 'retryAfter'>> {
  const { status, retryAfter } = await requestPinned(url, message, egress, {
    maxBytes: maxDrainedBytes,
    bodyMs: drainMs,
  });
  return { status, retryAfter };
}

/**
 * Sends a request to a server whose name is resolved only once. All its addresses must be allowed, and the connection uses only these, even
 * if the name resolves differently a moment later. Does not follow redirects. Resolves to the response, of whose body at most `maxBytes`
 * are read within `bodyMs`. Throws EgressError if there was no response, including when `signal` aborts.
 */
export async function requestPinned(
  url: URL,
  message: PinnedRequest,
  egress: Egress,
  limits: { maxBytes: number; bodyMs: number; signal?: AbortSignal },
): Promise<PinnedAnswer> {
  const timeout = AbortSignal.timeout(egress.wholeMs);
  const whole = limits.signal ? AbortSignal.any([timeout, limits.signal]) : timeout;
  const lookup = await pinAddresses(url, egress);
  const { request } = url.protocol === 'https:' ? https : http;
  return await new Promise((resolve, reject) => {
    const sent = request({
      protocol: url.protocol,
      host: hostOf(url),
      port: url.port || null,
      path: url.pathname + url.search,
      method: message.method ?? 'POST',
      headers: { ...message.headers, host: url.host, 'content-length': Buffer.byteLength(message.body) },
      lookup,
      // A new connection per request, so that its address was always just checked.
      agent: false,
      signal: whole,
      maxHeaderSize: 8 * 1024,
      insecureHTTPParser: false,
      ...(url.protocol === 'https:' && { rejectUnauthorized: true }),
    });
    const connecting = setTimeout(
      () => sent.destroy(noAnswer(egress.rules, 'The receiver took too long to connect to.')),
      egress.connectMs,
    );
    const connected = () => clearTimeout(connecting);
    sent.on('socket', (socket: Socket) =>
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', connected),
    );
    sent.on('error', (error) => {
      connected();
      const late = 'The receiver took too long to answer.';
      reject(whole.aborted ? noAnswer(egress.rules, late) : explainConnection(error, egress.rules));
    });
    sent.on('upgrade', () => sent.destroy(noAnswer(egress.rules, 'The receiver wants another protocol.')));
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

/**
 * Resolves the URL's host once and checks all its addresses. Returns a lookup for connections that leads to these alone. Throws EgressError.
 */
export async function pinAddresses(url: URL, egress: Egress): Promise<LookupFunction> {
  const host = hostOf(url);
  const addresses = isIP(host) ? [host] : await resolveInTime(host, egress);
  const { rules } = egress;
  const port = portOf(url);
  if (addresses.length > maxAddresses) throw noAnswer(rules, 'The host has too many addresses.');
  if (!addresses.every((address) => rules.allows(address, host, port))) {
    throw noAnswer(rules, `The URL ${inside(rules)}.`);
  }
  const isOpened = addresses.every((address) => rules.opens(address, host, port));
  const fault = isOpened ? null : publicFault(url);
  if (fault) throw noAnswer(rules, `The URL ${fault}.`);
  await egress.confirm?.();
  return pinnedTo(addresses);
}

async function resolveInTime(host: string, { resolve, connectMs, rules }: Egress): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('late')), connectMs);
  });
  const addresses = await Promise.race([resolve(host), late])
    .catch(() => [])
    .finally(() => clearTimeout(timer));
  if (addresses.length === 0) throw noAnswer(rules, 'The host name of the URL cannot be resolved.');
  return addresses;
}

function pinnedTo(addresses: string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_hostname, options, callback) => {
    if (options.all) return callback(null, all);
    callback(null, all[0]!.address, all[0]!.family);
  };
}

/** Calls `done` once: at the end of the body, when enough bytes were read, or after `bodyMs`. */
function read(
  response: IncomingMessage,
  { maxBytes, bodyMs }: { maxBytes: number; bodyMs: number },
  done: (body: Buffer, isWhole: boolean) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let over = false;
  const finish = (isWhole: boolean) => {
    clearTimeout(timer);
    if (!over) done(Buffer.concat(chunks).subarray(0, maxBytes), isWhole);
    over = true;
  };
  const timer = setTimeout(() => finish(false), bodyMs);
  response.on('data', (chunk: Buffer) => {
    if (over) return;
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxBytes) finish(false);
  });
  response.once('end', () => finish(true));
  for (const event of ['error', 'close']) response.once(event, () => finish(false));
}

/** Logs get only the error code: system messages contain addresses. */
export function explainConnection(error: Error, rules: Pick<EgressRules, 'setting'>): EgressError {
  if (error instanceof EgressError) return error;
  const { code = 'unknown' } = error as NodeJS.ErrnoException;
  return noAnswer(rules, `Sending failed: ${code}.`);
}

/** Limits and intervals of a loop that sends to servers of teams. */
export interface SendingTimes {
  /** Interval at which the loop looks for due work when none is known to wait. */
  pollMs: number;
  /** Maximum number of requests that this process sends concurrently. */
  concurrency: number;
  connectMs: number;
  wholeMs: number;
  /** Default: the machine's DNS resolver. */
  resolve?: Resolve;
}

/** Returns how such a loop may connect. `confirm`: see `Egress`. */
export function createEgress(
  rules: Egress['rules'],
  { resolve, connectMs, wholeMs }: Pick<SendingTimes, 'resolve' | 'connectMs' | 'wholeMs'>,
  confirm: NonNullable<Egress['confirm']> = async () => {},
): Egress {
  const machines = () => createResolve(rules, { timeoutMs: Math.ceil(connectMs / 4) });
  return { rules, resolve: resolve ?? machines(), connectMs, wholeMs, confirm };
}
