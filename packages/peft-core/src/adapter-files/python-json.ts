/** JSON as Python's `json.dump(…, indent=2, sort_keys=True)` writes it, where whole numbers in `floats` end in `.0`. */
export function pythonJson(fields: Record<string, unknown>, floats: string[] = []): string {
  return floats.reduce(
    (text, field) => text.replace(new RegExp(`("${field}": -?\\d+)(?=,?\\n)`), '$1.0'),
    JSON.stringify(sorted(fields), null, 2),
  );
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, sorted(item)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
