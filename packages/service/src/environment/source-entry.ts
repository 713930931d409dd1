import path from 'node:path';

/** `s3://bucket/prefix`. */
export const s3Pattern = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/[A-Za-z0-9._=-]+)*$/;

/** Returns whether `isAllowedSource` can read an entry of GRAFT_BASE_MODEL_SOURCES. */
export function isSourceEntry(entry: string): boolean {
  if (entry.startsWith('hub:')) return /^hub:[\w.*-]+\/[\w.*-]+$/.test(entry);
  return s3Pattern.test(entry) || (path.isAbsolute(entry) && path.resolve(entry) !== path.parse(entry).root);
}
