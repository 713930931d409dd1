import path from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import { globToRegExp } from '../../environment/hub-glob.ts';
import { s3Pattern } from '../../environment/source-entry.ts';

export type SourceKind = 'folder' | 'hub' | 's3';

export interface ModelSource {
  source: SourceKind;
  /** Absolute path, `organisation/name`, or `s3://bucket/prefix`. */
  location: string;
  /** Branch, tag or commit on the Hub; null: `main`. */
  revision: string | null;
  /** Name of the GGUF file to use, when a Hub repository or an S3 prefix has several. */
  file: string | null;
}

/** A source as users and requests write it: exactly one of the first three fields. */
export interface ModelSourceInput {
  folder?: string | undefined;
  hub?: string | undefined;
  s3?: string | undefined;
  revision?: string | undefined;
  file?: string | undefined;
}

const hubPattern = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;

/** Parses a source. Throws GraftError `invalid_value` whose `param` is the faulty field. */
export function parseModelSource(given: ModelSourceInput): ModelSource {
  const kinds = (['folder', 'hub', 's3'] as const).filter((kind) => given[kind] !== undefined);
  const [source] = kinds;
  if (source === undefined || kinds.length > 1) throw invalid('Give one of folder, hub and s3.', 'hub');
  if (source !== 'hub' && given.revision !== undefined)
    throw invalid('A revision is one of the Hub.', 'revision');
  if (source === 'folder' && given.file !== undefined)
    throw invalid('Name a GGUF file by its path as folder.', 'file');
  if (given.file !== undefined && !/^[\w.-]{1,200}\.gguf$/.test(given.file))
    throw invalid('file is the name of a GGUF file.', 'file');
  if (given.revision !== undefined && !/^[\w./-]{1,200}$/.test(given.revision))
    throw invalid('revision is a branch, a tag or a commit.', 'revision');
  return {
    source,
    location: locationOf(source, given[source]!),
    revision: given.revision ?? null,
    file: given.file ?? null,
  };
}

function locationOf(source: SourceKind, given: string): string {
  if (source === 'folder') {
    if (!path.isAbsolute(given) || given.length > 1000)
      throw invalid('folder is an absolute path, the same on every machine.', 'folder');
    return path.resolve(given);
  }
  const location = given.replace(/\/+$/, '');
  const parts = location.split('/');
  const isSound = (source === 'hub' ? hubPattern : s3Pattern).test(location) && location.length <= 1000;
  if (!isSound || parts.some((part) => part.includes('..') || part === '.'))
    throw invalid(
      source === 'hub' ? 'hub has the form organisation/name.' : 's3 has the form s3://bucket/prefix.',
      source,
    );
  return location;
}

/**
 * Returns whether requests may name the source: it must be below a folder or prefix of the list, or a Hub id that matches a glob, where `*`
 * matches any characters of one part. The operator sets the list in GRAFT_BASE_MODEL_SOURCES.
 */
export function isAllowedSource({ source, location }: ModelSource, list: readonly string[]): boolean {
  return list.some((entry) => {
    if (source === 'hub') return entry.startsWith('hub:') && globToRegExp(entry.slice(4)).test(location);
    if (entry.startsWith('hub:') || entry.startsWith('s3:') !== (source === 's3')) return false;
    const root = source === 's3' ? entry.replace(/\/+$/, '') : path.resolve(entry);
    return location === root || location.startsWith(`${root}/`);
  });
}

function invalid(message: string, param: string): GraftError {
  return new GraftError('invalid_value', message, { param });
}
