/** Adapters, their versions and tags, as the API writes them. */
import type { PeftOptions } from './wire-objects.ts';

export interface Adapter {
  id: string;
  object: 'adapter';
  created_at: number;
  name: string;
  base_model: string;
  latest_version: number | null;
  note: string | null;
}

export interface AdapterVersion {
  id: string;
  object: 'adapter.version';
  created_at: number;
  adapter_id: string;
  adapter_name: string;
  version: number;
  /** `ft:…`, what a completion takes as `model`. */
  model: string;
  base_model: string;
  /** Null: it was made elsewhere and uploaded. */
  fine_tuning_job_id: string | null;
  /** The version that its training went on from; null: the base model. */
  parent_id: string | null;
  /** Names of the tags that point at it. */
  tags: string[];
  note: string | null;
  /** SHA-256 over the sorted lines `<sha256> <bytes> <path>` of the files. */
  digest: string;
  bytes: number;
  files: { path: string; bytes: number; sha256: string }[];
  peft: PeftOptions;
  lineage: Record<string, unknown>;
  metrics: Record<string, unknown> | null;
  download_path: string;
}

/** A name that is moved from version to version, and that completions take as `model`. */
export interface AdapterTag {
  id: string;
  object: 'adapter.tag';
  created_at: number;
  moved_at: number;
  adapter_id: string;
  tag: string;
  /** `ft:{base}:{team}:{adapter}:{tag}` */
  model: string;
  version: number;
}

export interface MovedAdapterTag extends AdapterTag {
  /** Null: the tag is new. */
  previous_version: number | null;
}

export interface DeletedAdapter {
  id: string;
  object: 'adapter';
  deleted: true;
  /** How many were deleted. */
  versions: number;
}

export interface DeletedAdapterVersion extends AdapterVersion {
  deleted_at: number;
  restorable_until: number;
}

/** A value that differs; a side without one has no key. */
export interface AdapterDifference {
  field: string;
  a?: unknown;
  b?: unknown;
}

export interface AdapterComparison {
  object: 'adapter.comparison';
  a: AdapterVersion;
  b: AdapterVersion;
  /** The files are the same, byte for byte. */
  identical: boolean;
  config: AdapterDifference[];
  lineage: AdapterDifference[];
  metrics: { name: string; a: number | null; b: number | null; difference: number | null }[];
  files: {
    path: string;
    status: 'same' | 'changed' | 'only_a' | 'only_b';
    a: { bytes: number; sha256: string } | null;
    b: { bytes: number; sha256: string } | null;
  }[];
}

export interface AdapterLineage {
  object: 'adapter.lineage';
  nodes: {
    id: string;
    type: 'base_model' | 'adapter_version' | 'job' | 'file' | 'checkpoint';
    /** Null: deleted. */
    label: string | null;
    created_at: number | null;
  }[];
  edges: { from: string; to: string; kind: 'starts' | 'feeds' | 'makes' }[];
  truncated: boolean;
}
