import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Services } from '../services.ts';
import { registry } from './instruments.ts';
import { readPoolGauges, readServiceGauges } from './read-gauges.ts';

/** What is known of who asks. */
export interface MetricsReader {
  headers: IncomingHttpHeaders;
  /** The other end of the connection itself, no header's word. */
  remoteAddress: string | undefined;
}

/**
 * Whether someone may read the metrics: whoever has the token where GRAFT_METRICS_TOKEN is set; else only a process of this
 * machine that asks directly. A proxy in front of the API is on this machine too: what it passes on says so in a header.
 */
export function mayReadMetrics(
  { headers, remoteAddress }: MetricsReader,
  { metricsToken }: { metricsToken: string | undefined },
): boolean {
  if (metricsToken !== undefined) {
    const given = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    return timingSafeEqual(digestOf(given), digestOf(metricsToken));
  }
  const passedOn = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'].some(
    (name) => headers[name] !== undefined,
  );
  return !passedOn && /^(?:::ffff:)?127\.|^::1$/.test(remoteAddress ?? '');
}

/**
 * The metrics of this process in Prometheus' text format; of an API process also those of the whole service, as Postgres has
 * them. Answers within about two seconds, whatever is away.
 */
export async function renderMetrics(
  services: Pick<Services, 'sql' | 'queue' | 'env'>,
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
