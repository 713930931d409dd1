import type { AddedBaseModel as Row } from '../../generated/client.ts';
import type { ModelSource } from './model-source.ts';

/** A file of a model, as it must be on every machine. */
export interface ModelFile {
  /** Relative to the model's folder. */
  path: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/** A base model that the operator has added. */
export interface AddedModel extends ModelSource {
  /** Of the row: a model that is removed and added again has another. */
  id: string;
  /** What requests name as `model`. */
  modelId: string;
  state: 'queued' | 'fetching' | 'ready' | 'failed';
  /** The commit of the Hub that is fetched. */
  commit: string | null;
  bytesDone: number;
  /** Null: not known yet. */
  bytesTotal: number | null;
  /** Null until it is ready. */
  files: ModelFile[] | null;
  modelType: string | null;
  /** SHA-256 of the weights; null until it is ready. */
  digest: string | null;
  /** Why it failed, or was put off; in plain words. */
  error: { code: string; message: string } | null;
  attempts: number;
  /** Person or key; null: `graft admin`. */
  addedBy: string | null;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  /** Since then no team finds it. */
  hiddenAt: Date | null;
}

/** What a fetch is told, and tells. */
export interface FetchWatch {
  onFiles?: (files: readonly { path: string; size: number }[]) => void;
  /** Bytes that have come, those of an earlier attempt included; negative when some have to be fetched again. */
  onBytes?: (bytes: number) => void;
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
  /** What has to be left on the disk. */
  minFreeBytes?: number;
}

export function addedModelOf({ leaseUntil: _, notBefore: _until, holder: _by, ...row }: Row): AddedModel {
  return {
    ...row,
    source: row.source as AddedModel['source'],
    state: row.state as AddedModel['state'],
    bytesDone: Number(row.bytesDone),
    bytesTotal: row.bytesTotal === null ? null : Number(row.bytesTotal),
    files: row.files as ModelFile[] | null,
    error: row.error as AddedModel['error'],
  };
}
