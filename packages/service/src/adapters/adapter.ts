import type { PeftConfig } from '@graft/peft-core/config';

export interface Adapter {
  id: string;
  teamId: string;
  name: string;
  /** Catalogue id. */
  baseModel: string;
  /** Number of the newest version. */
  latestVersion: number | null;
  createdAt: Date;
}

export interface AdapterFile {
  /** Relative, with forward slashes. */
  path: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

export interface AdapterVersion {
  id: string;
  teamId: string;
  adapterId: string;
  adapterName: string;
  /** Catalogue id. */
  baseModel: string;
  /** 1, 2, … within the adapter. */
  number: number;
  jobId: string;
  /** `ft:{base}:{team}:{suffix}:{id}`, what requests name as `model`. */
  modelName: string;
  /** Content address in the artifact store. */
  digest: string;
  bytes: number;
  files: AdapterFile[];
  peft: PeftConfig;
  lineage: Record<string, unknown>;
  metrics: Record<string, unknown> | null;
  createdAt: Date;
}

/** Select list that yields a row of type `AdapterVersion` from `adapterVersionTables`. */
export const adapterVersionColumns =
  'v.id, v.team_id AS "teamId", v.adapter_id AS "adapterId", a.name AS "adapterName", a.base_model AS "baseModel", ' +
  'v.number, v.job_id AS "jobId", v.model_name AS "modelName", v.digest, v.bytes::float8 AS bytes, v.files, v.peft, ' +
  'v.lineage, v.metrics, v.created_at AS "createdAt"';

export const adapterVersionTables =
  'adapter_versions v JOIN adapters a ON a.team_id = v.team_id AND a.id = v.adapter_id';
