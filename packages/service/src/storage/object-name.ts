import { randomText } from '../ids.ts';

/**
 * Names of stored objects are never used twice and tell when they were made: `<head>-<seconds since 1970, 8 hex digits>`.
 * Postgres refuses a row that names an object older than half a day (trigger `refuse_old_object`), and the collector takes
 * only objects older than a day that no row names. So "no row names it" stays true once it is, whoever is frozen meanwhile:
 * collecting needs no lock. docs/decisions/0010-storage.md
 */
export function newObjectName(head: string): string {
  return `${head}-${Math.floor(Date.now() / 1000)
    .toString(16)
    .padStart(8, '0')}`;
}

/** The name of an uploaded file. */
export function newFileName(): string {
  return newObjectName(randomText(16));
}

/** The name of an artifact: its digest, then what makes the name new. */
export function newArtifactName(digest: string): string {
  return newObjectName(`${digest}-${randomText(8)}`);
}

/** When the object of this name was made; null: the name is from a time when names did not tell. */
export function madeAt(name: string): Date | null {
  const seconds = /-([0-9a-f]{8})$/.exec(name)?.[1];
  return seconds === undefined ? null : new Date(Number.parseInt(seconds, 16) * 1000);
}

/** Keeps anything but a name that a store has given out from being used as a path. */
export function checkFileName(name: string): string {
  if (!/^(?:[0-9A-Za-z]{24}|[0-9A-Za-z]{16}-[0-9a-f]{8})$/.test(name)) throw new Error('not a file key');
  return name;
}

/** The digest that an artifact's name begins with. Throws for anything but a name that a store has given out. */
export function digestOfArtifact(name: string): string {
  const digest = /^([0-9a-f]{64})(?:-[0-9A-Za-z]{8}-[0-9a-f]{8})?$/.exec(name)?.[1];
  if (digest === undefined) throw new Error('not an artifact name');
  return digest;
}
