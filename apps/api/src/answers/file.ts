import type { FileRecord } from '@graft/service/files';
import type { FileSchema } from '@graft/wire/file';
import type { Static } from 'typebox';
import { unixSeconds } from './list.ts';

export function toWireFile(file: FileRecord): Static<typeof FileSchema> {
  return {
    id: file.id,
    object: 'file',
    bytes: file.bytes,
    created_at: unixSeconds(file.createdAt),
    filename: file.filename,
    purpose: file.purpose,
    status: file.status,
    expires_at: null,
    status_details: null,
    sha256: file.sha256,
    format: file.format,
    examples: file.examples,
    columns: file.columns,
  };
}
