import { createHash } from 'node:crypto';
import { GraftError } from '@graft/peft-core/config';
import type { Upload as UploadRow } from '../generated/client.ts';

/**
 * A file that is sent in parts. Part: some of its bytes, an object of the file store with a row. Claim: the right to assemble the parts,
 * held by one process at a time and lost unless renewed.
 */
export interface Upload {
  id: string;
  teamId: string;
  filename: string;
  purpose: 'fine-tune';
  mimeType: string;
  /** Size of the whole file. */
  bytes: number;
  receivedBytes: number;
  partCount: number;
  status: 'pending' | 'completed' | 'cancelled' | 'expired';
  /** The resulting file, which may have been deleted since. */
  fileId: string | null;
  createdAt: Date;
  expiresAt: Date;
}

export interface UploadPart {
  id: string;
  teamId: string;
  uploadId: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
  /** Key in the file store. */
  path: string;
  createdAt: Date;
}

type Row = Omit<UploadRow, 'keyId' | 'completedWith' | 'finishedAt'>;

export function uploadOf(row: Row): Upload {
  const { id, teamId, filename, mimeType, partCount, fileId, createdAt, expiresAt } = row;
  const bytes = Number(row.bytes);
  return {
    id,
    teamId,
    filename,
    purpose: 'fine-tune',
    mimeType,
    bytes,
    partCount,
    fileId,
    receivedBytes: bytes - Number(row.remainingBytes),
    status: statusOf(row),
    createdAt,
    expiresAt,
  };
}

/** An upload whose time is over counts as expired at once, before the sweeper runs, but not while it is being assembled. */
function statusOf({ status, expiresAt, claimUntil }: Row): Upload['status'] {
  const now = new Date();
  const isOver = status === 'pending' && expiresAt <= now && !(claimUntil && claimUntil > now);
  return isOver ? 'expired' : (status as Upload['status']);
}

export function partOf<Row extends { bytes: bigint }>(row: Row): Omit<Row, 'bytes'> & { bytes: number } {
  return { ...row, bytes: Number(row.bytes) };
}

export function uploadOver(status: Upload['status']): GraftError {
  return new GraftError('invalid_upload_state', `The upload is ${status}; create another one.`, {
    param: null,
  });
}

/** Digest by which two completions of an upload are distinguished. */
export function digestOfParts(partIds: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(partIds)).digest('hex');
}
