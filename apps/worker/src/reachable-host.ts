import { hostname } from 'node:os';

/** The address for connecting to a server that listens on `host`. A wildcard is replaced by the machine's (or container's) name. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return hostname();
  return host.includes(':') ? `[${host}]` : host;
}
