import type { AddedBaseModel as Row } from '../../generated/client.ts';
import type { ModelSource } from './model-source.ts';

/** A file of a model; it must be identical on every machine. */
export interface ModelFile {
  /** Relative to the model's folder. */
  path: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

export interface AddedModel extends ModelSource {
  /** Id of the row: a model that is removed and added again has a new one. */
  id: string;
  /** Name that requests use as `model`. */
  modelId: string;
  state: 'queued' | 'fetching' | 'ready' | 'failed';
  /** The Hub commit to fetch. */
  commit: string | null;
  bytesDone: number;
  /** Null while unknown. */
  bytesTotal: number | null;
  /** Null until it is ready. */
  files: ModelFile[] | null;
  modelType: string | null;
  /** SHA-256 of the weights; null until it is ready. */
  digest: string | null;
  /** Why the last attempt failed, for the operator. */
  error: { code: string; message: string } | null;
  attempts: number;
  /** Id of a person or key; null: `graft admin`. */
  addedBy: string | null;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  /** Time since which the model has been hidden from all teams. */
  hiddenAt: Date | null;
}

export interface FetchWatch {
  onFiles?: (files: readonly { path: string; size: number }[]) => void;
  /** Called with the number of bytes received, including those of an earlier attempt; negative when bytes must be fetched again. */
  onBytes?: (bytes: number) => void;
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
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
