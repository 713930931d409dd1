import { parse } from 'node:querystring';

/** Parses a query string; `metadata[key]=value`, once per key, becomes `{metadata: {key: value}}`. */
export function parseQuery(text: string): Record<string, unknown> {
  // Objects without a prototype, so that a client's `__proto__` is an ordinary name.
  const query: Record<string, unknown> = Object.create(null);
  const metadata: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(parse(text))) {
    const key = /^metadata\[(.+)\]$/s.exec(name)?.[1];
    if (key === undefined) query[name] = value;
    else metadata[key] = value;
  }
  return Object.keys(metadata).length > 0 ? { ...query, metadata: { ...metadata } } : { ...query };
}
