import { hostname } from 'node:os';

/** By which others reach what listens on `host`. A wildcard is no address: the machine's, or container's, own name is. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return hostname();
  return host.includes(':') ? `[${host}]` : host;
}
