import { isIP } from 'node:net';
import { GraftError } from '@graft/peft-core/config';
import type { EgressRules } from './address-rules.ts';

const longest = 2048;
/** Ports of public receivers. Others speak other protocols, or belong to somebody else. */
const publicPorts = ['', '443', '8443'];

/** The URL of an endpoint. Throws GraftError `invalid_webhook_url`. */
export function parseWebhookUrl(text: string, rules: EgressRules): URL {
  return parseTeamUrl(text, rules, {
    code: 'invalid_webhook_url',
    noPassword: 'put a token in its path, or verify the signature',
  });
}

/**
 * A URL of a team's, as far as it can be judged without asking DNS: where the name leads to is checked whenever something is
 * sent. `noPassword` says what to do instead of a password in it. Throws GraftError `code`.
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
  if (address !== null && !rules.allows(address, host)) throw refusal(inside(rules));
  const isLocal = host === 'localhost' || host.endsWith('.localhost');
  if (isLocal && !rules.opensHost(host)) throw refusal(inside(rules));
  // Of a name that leads inside, only its addresses tell whether it is open.
  const mayBeOpen = address === null ? !rules.isEmpty : rules.opens(address, host);
  if (!mayBeOpen) {
    const fault = publicFault(url);
    if (fault) throw refusal(fault);
  }
  return url;
}

/** What a receiver on the internet must be like, and this one is not; null: nothing. */
export function publicFault(url: URL): string | null {
  if (url.protocol !== 'https:') return 'must begin with https://';
  return publicPorts.includes(url.port) ? null : `has port ${url.port}: it must be 443 or 8443`;
}

/** Name or address without the brackets of IPv6, and without a name's closing dot. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

/** Says no more, so that nobody learns which names and addresses there are inside. */
export const inside = ({ setting }: Pick<EgressRules, 'setting'>) =>
  `leads to an address that is not on the internet; the operator of this server can open it (${setting})`;
