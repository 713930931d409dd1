import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Database } from '../database/database.ts';
import type { ServiceEnv } from '../environment/env.ts';
import type { JobQueue } from '../queue/job-queue.ts';
import { registry } from './instruments.ts';
import { readPoolGauges, readServiceGauges } from './read-gauges.ts';

/** What is known of who asks. */
export interface MetricsReader {
  headers: IncomingHttpHeaders;
  /** The other end of the connection itself, which no header changes. */
  remoteAddress: string | undefined;
  httpVersion: string;
}

/**
 * What scrapers, command-line clients and browsers send by themselves. Proxies add headers of many names (X-Forwarded-For,
 * CF-Connecting-IP, Fly-Client-IP, …), so any name that is not here means that the request may come through one.
 */
const directHeader =
  /^(?:accept(?:-charset|-encoding|-language)?|authorization|cache-control|connection|cookie|dnt|host|if-modified-since|if-none-match|keep-alive|pragma|priority|sec-[\w-]+|te|traceparent|tracestate|upgrade-insecure-requests|user-agent|x-prometheus-[\w-]+)$/;

const loopbackHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

/**
 * Whether a client may read the metrics: with the token where GRAFT_METRICS_TOKEN is set; else, only where GRAFT_METRICS_LOOPBACK
 * vouches that no proxy on this machine leads here, as a process of this machine that asks directly. A proxy that adds nothing cannot
 * be recognised, hence that setting. Others show by a Host that is not of this machine, by headers that they add, or by HTTP/1.0,
 * which nginx speaks where it is configured no further: these are refused all the same.
 */
export function mayReadMetrics(
  { headers, remoteAddress, httpVersion }: MetricsReader,
  { metricsToken, metricsLoopback }: { metricsToken: string | undefined; metricsLoopback: boolean },
): boolean {
  if (metricsToken !== undefined) {
    const given = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    return timingSafeEqual(digestOf(given), digestOf(metricsToken));
  }
  if (!metricsLoopback) return false;
  const isDirect =
    httpVersion !== '1.0' &&
    loopbackHost.test(headers.host ?? '') &&
    Object.keys(headers).every((name) => directHeader.test(name));
  return isDirect && /^(?:::ffff:)?127\.|^::1$/.test(remoteAddress ?? '');
}

/**
 * The metrics of this process in Prometheus' text format; of an API process also those of the whole service, as Postgres has
 * them. Answers within about two seconds, whatever is away.
 */
export async function renderMetrics(
  services: Pick<Database, 'sql'> & { queue: JobQueue; env: ServiceEnv },
  role: 'api' | 'worker',
): Promise<{ contentType: string; body: string }> {
  if (role === 'api') await readServiceGauges(services);
  readPoolGauges(services);
  return { contentType: registry.contentType, body: await registry.metrics() };
}

// timingSafeEqual demands values of equal length, which digests are.
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
