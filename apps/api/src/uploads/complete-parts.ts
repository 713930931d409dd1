import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError, type OnBadLines } from '@graft/peft-core/config';
import type { ColumnMapping } from '@graft/peft-core/examples';
import { requesterOf } from '@graft/service/audit';
import { isDatabaseUnavailable } from '@graft/service/database';
import { type FileRecord, getFile } from '@graft/service/files';
import { randomText } from '@graft/service/ids';
import type { Identity } from '@graft/service/keys';
import { holdLease } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';
import {
  claimSeconds,
  claimUpload,
  finishUpload,
  releaseClaim,
  renewClaim,
  type Upload,
  type UploadClaim,
  type UploadPart,
} from '@graft/service/uploads';
import { ApiError } from '../api-error.ts';
import { storeChecked } from './receive-upload.ts';
import type { UploadChecks } from './upload-checks.ts';
import { uploadedFile, writeRow } from './write-row.ts';

interface Completion {
  uploadId: string;
  /** In the order of the file. */
  partIds: readonly string[];
  /** Hexadecimal digest of the whole file. */
  md5: string | undefined;
  /** The column that each field is in; null: as recognised. */
  columns: ColumnMapping | null;
  /** Rule for a file with bad lines: fail, or accept it if it has others. */
  onBadLines: OnBadLines;
}

/** Milliseconds between checks of an upload that another request completes. */
const lookMs = 250;

/**
 * Creates a file from an upload's parts: streams them through the check of lines into the store, then writes the file's row. Of several
 * concurrent completions one does the work, and the others, like a later identical completion, return its result. After any error no bytes
 * remain and the upload stays pending. Null: no such upload in this team. Throws the errors of `claimUpload`, GraftError for lines that are
 * no examples, ApiError `md5_mismatch`, `resource_busy`.
 */
export async function completeParts(
  services: Services,
  checks: UploadChecks,
  caller: Identity,
  { uploadId, partIds, md5, columns, onBadLines }: Completion,
  { waitMs }: { waitMs: number },
): Promise<{ upload: Upload; file: FileRecord | null } | null> {
  const { teamId } = caller;
  const claim = { teamId, uploadId, holder: randomText(16) };
  for (const end = performance.now() + waitMs; ; await sleep(lookMs)) {
    const answer = await claimUpload(services, claim, partIds);
    if (answer === null) return null;
    if (answer.kind === 'claimed')
      return await assemble(services, checks, caller, { ...answer, claim, md5, columns, onBadLines });
    if (answer.kind === 'completed') {
      const { upload } = answer;
      return { upload, file: await getFile(services, teamId, upload.fileId!) };
    }
    if (performance.now() > end) {
      throw new ApiError('resource_busy', 'The upload is being completed by another request; try again.', {
        headers: { 'retry-after': '5' },
      });
    }
  }
}

async function assemble(
  services: Services,
  checks: UploadChecks,
  caller: Identity,
  work: {
    upload: Upload;
    parts: UploadPart[];
    claim: UploadClaim;
    md5: string | undefined;
    columns: ColumnMapping | null;
    onBadLines: OnBadLines;
  },
): Promise<{ upload: Upload; file: FileRecord }> {
  const { upload, parts, claim } = work;
  const held = holdLease(
    `completion of ${upload.id}`,
    services.log,
    () => renewClaim(services, claim),
    (claimSeconds * 1000) / 6,
  );
  try {
    const digest = createHash('md5');
    const bytes = bytesOf(services, parts, held.lost, (chunk) => digest.update(chunk));
    const check = checks.open(caller.teamId, { columns: work.columns, onBadLines: work.onBadLines });
    const stored = await storeChecked(bytes, services.files, check, upload.bytes);
    const write = async () => {
      checkMd5(digest.digest('hex'), work.md5);
      const partIds = parts.map(({ id }) => id);
      const { columns } = work;
      const file = { ...stored, ...uploadedFile, filename: upload.filename, columns, ...requesterOf(caller) };
      const finished = await finishUpload(services, claim, partIds, file);
      if (finished) return finished;
      throw takenAway();
    };
    return await writeRow(write, () => services.files.remove(stored.path));
  } catch (error) {
    // The parts of an upload may be removed while they are read, if it is cancelled.
    const isLost = held.lost.aborted || !(await renewClaim(services, claim).catch(() => true));
    if (!isLost) await releaseClaim(services, claim).catch(() => {});
    throw isLost && !isDatabaseUnavailable(error) ? takenAway() : error;
  } finally {
    await held.release();
  }
}

/** The bytes of the parts in order. Throws GraftError `file_corrupt` for a part that differs from what was sent. */
async function* bytesOf(
  { files }: Services,
  parts: readonly UploadPart[],
  signal: AbortSignal,
  see: (chunk: Buffer) => void,
): AsyncGenerator<Buffer> {
  for (const part of parts) {
    for await (const chunk of await files.open(part)) {
      signal.throwIfAborted();
      see(chunk);
      yield chunk;
    }
  }
}

function checkMd5(found: string, given: string | undefined): void {
  if (given === undefined || given.toLowerCase() === found) return;
  throw new ApiError(
    'md5_mismatch',
    `The file's MD5 is ${found}, not ${given}; check the order of the parts.`,
    { param: 'md5' },
  );
}

function takenAway(): GraftError {
  const message = 'The upload was cancelled, or completed by another request, in the meantime.';
  return new GraftError('invalid_upload_state', message, { param: null });
}
