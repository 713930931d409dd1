import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Database } from '../database/database.ts';
import type { ServiceEnv } from '../environment/env.ts';
import type { JobQueue } from '../queue/job-queue.ts';
import { registry } from './instruments.ts';
import { readPoolGauges, readServiceGauges } from './read-gauges.ts';

/** The properties of a request by which access is decided. */
export interface MetricsReader {
  headers: IncomingHttpHeaders;
  /** The peer of the TCP connection, which no header changes. */
  remoteAddress: string | undefined;
  httpVersion: string;
}

/**
 * Headers that scrapers, command-line clients and browsers send by themselves. Proxies add headers with many names (X-Forwarded-For,
 * CF-Connecting-IP, Fly-Client-IP, …), so any other name means that the request may come through a proxy.
 */
const directHeader =
  /^(?:accept(?:-charset|-encoding|-language)?|authorization|cache-control|connection|cookie|dnt|host|if-modified-since|if-none-match|keep-alive|pragma|priority|sec-[\w-]+|te|traceparent|tracestate|upgrade-insecure-requests|user-agent|x-prometheus-[\w-]+)$/;

const loopbackHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

/**
 * Returns whether a client may read the metrics. If GRAFT_METRICS_TOKEN is set, the client needs this token. Otherwise
 * GRAFT_METRICS_LOOPBACK must guarantee that no proxy on this machine forwards to Graft, and the request must come directly from this
 * machine. A proxy that adds nothing cannot be detected, hence that setting. Other proxies are rejected anyway: by a Host of another
 * machine, by added headers, or by HTTP/1.0, nginx's default.
 */
export function canReadMetrics(
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
 * Renders the metrics of this process in Prometheus' text format; for an API process also those of the whole service, from Postgres. Takes
 * at most about two seconds, even if services are unavailable.
 */
export async function renderMetrics(
  services: Pick<Database, 'sql'> & { queue: JobQueue; env: ServiceEnv },
  role: 'api' | 'worker',
): Promise<{ contentType: string; body: string }> {
  if (role === 'api') await readServiceGauges(services);
  readPoolGauges(services);
  return { contentType: registry.contentType, body: await registry.metrics() };
}

// timingSafeEqual requires values of equal length, such as digests.
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
