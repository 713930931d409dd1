/**
 * Vocabulary
 * - publication: files of an adapter version, or of one of its exports, that the service sends to a repository of the Hugging Face Hub, as one
 *   commit. There is one for each repository.
 */
import type { PublicationStatus } from '@graft/wire/lists';
import type { Publication as Row } from '../generated/client.ts';
import type { ExitMaker } from '../keys/exits.ts';

export interface PublicationError {
  code: string;
  message: string;
  param: string | null;
}

export interface Publication extends ExitMaker {
  id: string;
  teamId: string;
  versionId: string;
  /** Null: the version's own files. The export may have been removed since. */
  exportId: string | null;
  /** Format of the export; null: the version's own files. */
  format: string | null;
  /** owner/name */
  repository: string;
  /** True where everybody may read the repository: it is created so, and an existing one remains as it is. */
  isPublic: boolean;
  /** True where Graft writes the model card. */
  card: boolean;
  status: PublicationStatus;
  /** Why it failed. While it is queued again, why the last attempt did. */
  error: PublicationError | null;
  /** Not null: it has succeeded. */
  made: {
    /** The commit that has all files. */
    commit: string;
    url: string;
    /** Number of files that were added or changed. */
    changed: number;
    /** Their bytes. */
    bytes: number;
  } | null;
  attempts: number;
  nextAttemptAt: Date;
  createdAt: Date;
  /** Start of the last attempt. */
  startedAt: Date | null;
  finishedAt: Date | null;
}

export function publicationOf(row: Row): Publication {
  const { id, teamId, versionId, exportId, format, repository, isPublic, card, status, error } = row;
  const { commit, url, changed, bytes, attempts, nextAttemptAt, createdAt, startedAt, finishedAt } = row;
  const { createdBy, madeByKey } = row;
  return {
    id,
    teamId,
    versionId,
    exportId,
    format,
    repository,
    isPublic,
    card,
    createdBy,
    madeByKey,
    status: status as PublicationStatus,
    error: error as PublicationError | null,
    // A check of the table ensures that all four are set, or it has not succeeded.
    made: commit === null ? null : { commit, url: url!, changed: changed!, bytes: Number(bytes) },
    attempts,
    nextAttemptAt,
    createdAt,
    startedAt,
    finishedAt,
  };
}
