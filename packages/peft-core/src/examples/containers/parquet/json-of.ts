/**
 * A value of a Parquet column as JSON; adds its approximate size to `size`. A struct has every field of the column: those that are null
 * are left out, but for `content`, which a message has. Binary data is no text.
 */
export function jsonOf(value: unknown, size: { bytes: number }): unknown {
  if (typeof value === 'string') {
    size.bytes += value.length;
    return value;
  }
  size.bytes += 8;
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean')
    return value;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return { binary: value.length };
  if (Array.isArray(value) || ArrayBuffer.isView(value))
    return Array.from(value as unknown as ArrayLike<unknown>, (each) => jsonOf(each, size));
  const fields: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value as object)) {
    const json = jsonOf(field, size);
    if ((json !== null && json !== undefined) || name === 'content') fields[name] = json ?? null;
  }
  return fields;
}
