import type { OnBadLines } from '@graft/peft-core/config';
import { type ColumnMapping, type DatasetSummary, parseColumns } from '@graft/peft-core/examples';
import type { FileStore } from '@graft/service/storage';
import type { IncomingBytes } from '@graft/service/teams';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';
import { missingParameter, readMultipart, unknownParameter } from './read-multipart.ts';
import type { UploadCheck, UploadChecks } from './upload-checks.ts';

/** A stored training file whose lines are valid examples; it has no row yet. */
export interface ReceivedUpload extends DatasetSummary {
  filename: string;
  /** The column that each field is in; null: as recognised. */
  columns: ColumnMapping | null;
  path: string;
  bytes: number;
  sha256: string;
}

interface UploadLimits {
  bytes: number;
  /** Milliseconds without data after which the upload is aborted. */
  idleMs: number;
}

const defaultFilename = 'upload.jsonl';

/**
 * Streams a multipart upload (`purpose`, `file`, in any order, `columns` and `on_bad_lines` before `file`) into the store and checks every line meanwhile. A failed upload, for example
 * of a client that disconnects, leaves nothing behind. Throws ApiError or GraftError, QuotaExceeded among them.
 */
export async function receiveUpload(
  request: FastifyRequest,
  files: FileStore,
  checks: UploadChecks,
  incoming: IncomingBytes,
  limits: UploadLimits,
): Promise<ReceivedUpload> {
  return await readMultipart(request, { idleMs: limits.idleMs, file: 'file' }, async (body) => {
    const { teamId } = request.caller;
    let purpose: string | null = null;
    let columns: ColumnMapping | null = null;
    let onBadLines: OnBadLines = 'fail';
    let received: ReceivedUpload | null = null;
    try {
      for await (const part of body.parts()) {
        if (part.type === 'file') {
          if (part.fieldname !== 'file') throw unknownParameter(part.fieldname);
          const bytes = counted(body.bytes(part), incoming);
          const check = checks.open(teamId, { columns, onBadLines });
          const stored = await storeChecked(bytes, files, check, limits.bytes);
          received = { filename: cleanName(part.filename), columns, ...stored };
        } else if (part.fieldname === 'purpose') {
          purpose = checkPurpose(part.value);
        } else if (part.fieldname === 'columns') {
          if (received) throw late('columns');
          columns = columnsIn(part.value);
        } else if (part.fieldname === 'on_bad_lines') {
          if (received) throw late('on_bad_lines');
          onBadLines = onBadLinesIn(part.value);
        } else if (part.fieldname.startsWith('expires_after')) {
          throw filesAreKept();
        } else throw unknownParameter(part.fieldname);
      }
      if (purpose === null) throw missingParameter('purpose');
      if (received === null) throw missingParameter('file');
      return received;
    } catch (error) {
      if (received) await files.remove(received.path).catch(() => {});
      throw error;
    }
  });
}

/** Yields each piece once it is counted towards the team's quota. Throws QuotaExceeded. */
export async function* counted(
  bytes: AsyncIterable<Buffer>,
  incoming: IncomingBytes,
): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    await incoming.add(chunk.length);
    yield chunk;
  }
}

/** Stores a training file under a new key while its rows are checked, or checks it when it is stored. A refused file leaves nothing. Throws GraftError, ApiError. */
export async function storeChecked(
  bytes: AsyncIterable<Buffer>,
  files: FileStore,
  check: UploadCheck,
  limit: number,
): Promise<Omit<ReceivedUpload, 'filename' | 'columns'>> {
  let summary: DatasetSummary | null = null;
  async function* checked(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of bytes) {
        await check.write(chunk);
        yield chunk;
      }
      summary = await check.end();
    } finally {
      if (!summary) check.drop();
    }
  }
  const stored = await files.receive(checked(), { limit });
  try {
    summary ??= await check.checkStored(stored.bytes, async () => await files.pathForNow(stored));
  } catch (error) {
    await files.remove(stored.path).catch(() => {});
    throw error;
  }
  return { ...stored, ...summary };
}

function checkPurpose(purpose: unknown): string {
  if (purpose === 'fine-tune') return purpose;
  throw new ApiError('invalid_value', 'Invalid \'purpose\': must be "fine-tune".', { param: 'purpose' });
}

/** The mapping in a field of text. Throws GraftError `invalid_columns`. */
export function columnsIn(value: unknown): ColumnMapping {
  let parsed: unknown = value;
  try {
    parsed = JSON.parse(String(value));
  } catch {}
  return parseColumns(parsed);
}

function onBadLinesIn(value: unknown): OnBadLines {
  if (value === 'fail' || value === 'skip') return value;
  const message = 'Invalid \'on_bad_lines\': must be "fail" or "skip".';
  throw new ApiError('invalid_value', message, { param: 'on_bad_lines' });
}

function late(param: string): ApiError {
  const message = `'${param}' must come before 'file', which is read with it as it arrives.`;
  return new ApiError('invalid_value', message, { param });
}

export function filesAreKept(): ApiError {
  const message = "Unsupported parameter: 'expires_after'. Files do not expire.";
  return new ApiError('unsupported_parameter', message, { param: 'expires_after' });
}

/** The client's file name without folders and control characters. Only displayed, never used as a path. */
export function cleanName(name: string | undefined): string {
  const last = (name ?? '').split(/[/\\]/).at(-1)!;
  const clean = last.replaceAll(/\p{C}/gu, '').trim().slice(0, 255);
  return clean || defaultFilename;
}
