import { parse } from 'node:querystring';

/** Reads a query string; `metadata[key]=value`, once per key, becomes `{metadata: {key: value}}`. */
export function parseQuery(text: string): Record<string, unknown> {
  const query: Record<string, unknown> = {};
  const metadata: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(parse(text))) {
    const key = /^metadata\[(.+)\]$/s.exec(name)?.[1];
    if (key === undefined) query[name] = value;
    else metadata[key] = value;
  }
  // Spread, so that a plain object remains: keys are a client's, but no longer `__proto__`.
  return Object.keys(metadata).length > 0 ? { ...query, metadata: { ...metadata } } : query;
}
