import { randomText } from '../ids.ts';

/**
 * Returns a unique object name that contains its creation time: `<head>-<seconds since 1970, 8 hex digits>`. Postgres rejects rows that
 * name an object older than half a day (trigger `refuse_old_object`), and the collector only removes objects older than a day that no row
 * names. So an unreferenced object stays unreferenced, even if a process freezes meanwhile, and collecting needs no lock. See
 * docs/decisions/0010-storage.md.
 */
export function newObjectName(head: string): string {
  return `${head}-${Math.floor(Date.now() / 1000)
    .toString(16)
    .padStart(8, '0')}`;
}

export function newFileName(): string {
  return newObjectName(randomText(16));
}

/** Returns the name of a new artifact: its digest and a unique suffix. */
export function newArtifactName(digest: string): string {
  return newObjectName(`${digest}-${randomText(8)}`);
}

/** Returns when an object was created; null for an old name without a time. */
export function createdAtOf(name: string): Date | null {
  const seconds = /-([0-9a-f]{8})$/.exec(name)?.[1];
  return seconds === undefined ? null : new Date(Number.parseInt(seconds, 16) * 1000);
}

/** Throws unless the text is a name that a store has assigned, so that nothing else is used as a path. */
export function checkFileName(name: string): string {
  if (!/^(?:[0-9A-Za-z]{24}|[0-9A-Za-z]{16}-[0-9a-f]{8})$/.test(name)) throw new Error('not a file key');
  return name;
}

/** Returns the digest with which an artifact's name starts. Throws for anything but a name that a store has assigned. */
export function digestOfArtifact(name: string): string {
  const digest = /^([0-9a-f]{64})(?:-[0-9A-Za-z]{8}-[0-9a-f]{8})?$/.exec(name)?.[1];
  if (digest === undefined) throw new Error('not an artifact name');
  return digest;
}
