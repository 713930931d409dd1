import { isIP } from 'node:net';
import { GraftError } from '@graft/peft-core/config';
import { type EgressRules, isPublic } from './address-rules.ts';

const longest = 2048;
/** Ports of public receivers. Other ports serve other protocols or belong to other services. */
const publicPorts = ['', '443', '8443'];

/** Parses the URL of a webhook endpoint. Throws GraftError `invalid_webhook_url`. */
export function parseWebhookUrl(text: string, rules: EgressRules): URL {
  return parseTeamUrl(text, rules, {
    code: 'invalid_webhook_url',
    noPassword: 'put a token in its path, or verify the signature',
  });
}

/**
 * Parses a URL from a team and checks what is possible without DNS; the addresses are checked at each delivery. `noPassword` describes the
 * alternative to a password in the URL. Throws GraftError `code`.
 */
export function parseTeamUrl(
  text: string,
  rules: EgressRules,
  { code, noPassword }: { code: string; noPassword: string },
): URL {
  const refusal = (why: string) => new GraftError(code, `url ${why}.`, { param: 'url' });
  if (text.length > longest) throw refusal(`is longer than ${longest} characters`);
  if (!URL.canParse(text)) throw refusal('is not a URL: give one such as https://example.com/graft');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refusal('must begin with https://');
  if (url.username || url.password) {
    throw refusal(`must hold no user and password: ${noPassword}`);
  }
  if (url.hash) throw refusal('must hold no fragment (#…)');
  const host = hostOf(url);
  const address = isIP(host) ? host : null;
  const port = portOf(url);
  if (address !== null && !rules.allows(address, host, port)) throw refusal(inside(rules));
  const isLocal = host === 'localhost' || host.endsWith('.localhost');
  if (isLocal && !rules.opensHost(host, port)) throw refusal(inside(rules));
  // A name that resolves to internal addresses is open or not depending on the addresses.
  const canBeOpen = address === null ? !rules.isEmpty : rules.opens(address, host, port);
  if (!canBeOpen) {
    const fault = publicFault(url);
    if (fault) throw refusal(fault);
  }
  return url;
}

/** Returns why a URL cannot be that of a receiver on the internet; null if it can. */
export function publicFault(url: URL): string | null {
  if (url.protocol !== 'https:') return 'must begin with https://';
  return publicPorts.includes(url.port) ? null : `has port ${url.port}: it must be 443 or 8443`;
}

/** Returns whether a URL cannot lead to a receiver on the internet, whatever its name resolves to. */
export function isInside(url: URL): boolean {
  const host = hostOf(url);
  return publicFault(url) !== null || (isIP(host) !== 0 && !isPublic(host));
}

/** Returns the host name or address, without the brackets of IPv6 and without a trailing dot. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

export function portOf({ port, protocol }: URL): number {
  return Number(port || (protocol === 'https:' ? 443 : 80));
}

/** Reveals nothing about which internal names and addresses exist. */
export const inside = ({ setting }: Pick<EgressRules, 'setting'>) =>
  `leads to an address that is not on the internet; the operator of this server can open it with its port (${setting})`;
