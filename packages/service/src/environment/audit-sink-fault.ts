import { hostOf } from '../egress/team-url.ts';

/** Returns what is wrong with a value of GRAFT_AUDIT_SINK; null if it is valid. */
export function auditSinkFault(text: string): string | null {
  const form = 'must be https://host/path or file:/absolute/path';
  if (!URL.canParse(text)) return form;
  const url = new URL(text);
  if (url.username || url.password || url.hash) return 'must hold no user, password or fragment';
  if (url.protocol === 'file:') return url.host === '' && !url.pathname.endsWith('/') ? null : form;
  if (url.protocol === 'https:') return null;
  const isLoopback = /^(?:localhost|127(?:\.\d+){3}|::1)$/.test(hostOf(url));
  return url.protocol === 'http:' && isLoopback ? null : form;
}
