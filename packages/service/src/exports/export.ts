/**
 * Vocabulary
 * - export: the files of one adapter version in the format of other programs, written by a worker and kept until they expire.
 * - fingerprint: equal for exports of a version that have the same files, which a team has only once.
 * - reserved bytes: what the files have at most. They count towards the team's quota until the files are stored.
 */

import { createHash } from 'node:crypto';
import type { ExportStatus } from '@graft/wire/lists';
import type { AdapterExport as Row } from '../generated/client.ts';
import type { JobError } from '../jobs/job.ts';
import type { AdapterFile } from '../storage/artifact-store.ts';

export interface AdapterExport {
  id: string;
  teamId: string;
  versionId: string;
  /** Name in peft-core's exports/formats.ts. */
  format: string;
  /** Complete, with defaults. */
  options: Record<string, unknown>;
  status: ExportStatus;
  /** Maximum bytes of the files. */
  reservedBytes: number;
  /** Bytes that the running attempt has written. */
  done: number;
  /** Bytes that it expects to write; null: not known yet. */
  total: number | null;
  /** Not null: it has succeeded, and its files are in the store of exports. */
  stored: { artifact: string; digest: string; bytes: number; files: AdapterFile[] } | null;
  /** Changes that the writer made to fit the format. */
  notes: string[];
  error: JobError | null;
  /** True where it never expires. */
  keep: boolean;
  leaseEpoch: number;
  leaseToken: string | null;
  attempts: number;
  environmentFaults: number;
  createdAt: Date;
  /** Start of the last attempt. */
  startedAt: Date | null;
  finishedAt: Date | null;
  /** When it is removed, unless `keep`; null: it has not ended. */
  expiresAt: Date | null;
  /** When its stored files were found not to match `digest`; null if no damage is known. */
  corruptAt: Date | null;
}

/** The right to write one export, lost unless it is renewed in time. */
export interface ExportLease {
  id: string;
  epoch: number;
  token: string;
}

export function exportOf(row: Row): AdapterExport {
  const { artifact, digest, bytes, files, reservedBytes, done, total, status, options, error } = row;
  const { id, teamId, versionId, format, notes, keep, leaseEpoch, leaseToken, attempts, environmentFaults } =
    row;
  const { createdAt, startedAt, finishedAt, expiresAt, corruptAt } = row;
  return {
    id,
    teamId,
    versionId,
    format,
    options: options as AdapterExport['options'],
    status: status as ExportStatus,
    reservedBytes: Number(reservedBytes),
    done: Number(done),
    total: total === null ? null : Number(total),
    // A check of the table ensures that all four are set, or the export has not succeeded.
    stored:
      artifact === null
        ? null
        : { artifact, digest: digest!, bytes: Number(bytes), files: files as unknown as AdapterFile[] },
    notes,
    error: error as JobError | null,
    keep,
    leaseEpoch,
    leaseToken,
    attempts,
    environmentFaults,
    createdAt,
    startedAt,
    finishedAt,
    expiresAt,
    corruptAt,
  };
}

/** Increase this when a writer's files change: exports of earlier versions are then not returned for new requests. */
const writerVersion = 1;

export function fingerprintOf(format: string, options: Record<string, unknown>): string {
  const sorted = Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([writerVersion, format, sorted]))
    .digest('hex');
}
