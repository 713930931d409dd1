/** Teams, people, keys and workers as they travel, with the wire's own field names. Times are Unix seconds. */

export type Role = 'viewer' | 'member' | 'admin';

/** Who asks. */
export interface Me {
  object: 'me';
  /** `person`: signed in, and of no team so far. */
  kind: 'team' | 'operator' | 'person';
  /** Null for the operator, as is the role. */
  team: { id: string; name: string } | null;
  role: Role | null;
  /** Null: all that the role may. */
  scopes: string[] | null;
  /** Null: all. */
  models: string[] | null;
  key: { id: string; expires_at: number | null } | null;
  person: { id: string; email: string; name: string } | null;
  is_operator: boolean;
  /** Of a person who is signed in; a key does not tell. */
  teams: { id: string; name: string; role: Role }[] | null;
  /** Null: by a key. */
  session: { id: string; method: 'oidc' | 'key'; expires_at: number } | null;
}

/** Somebody signed in, in one browser. */
export interface SessionObject {
  id: string;
  object: 'session';
  created_at: number;
  method: 'oidc' | 'key';
  key_id: string | null;
  /** The one that asks. */
  current: boolean;
  user_agent: string | null;
  last_used_at: number;
  expires_at: number;
}

/** Who did what to what. */
export interface AuditEntryObject {
  id: string;
  object: 'audit.entry';
  created_at: number;
  action: string;
  target: string;
  /** Both null: the operator on the machine, or Graft itself. */
  key_id: string | null;
  person_id: string | null;
  detail: unknown;
}

export interface AuditFilterParams {
  /** `job.cancel`, or the beginning with a `*` behind. */
  action?: string;
  /** A key or a person. */
  actor?: string;
  target?: string;
  /** Unix seconds. */
  since?: number;
  until?: number;
  after?: string;
}

export interface TeamObject {
  id: string;
  object: 'team';
  created_at: number;
  name: string;
  running_limit: number;
  /** Its share of the machines, next to the weights of the other teams that have work. */
  weight: number;
}

/** What the operator lets a team have and ask for. Null: no limit. */
export interface TeamQuotaLimits {
  running_jobs: number;
  queued_jobs: number | null;
  stored_bytes: number | null;
  tokens_per_month: number | null;
  open_uploads: number | null;
  models: string[] | null;
  methods: string[] | null;
  max_rank: number | null;
  max_seq_length: number | null;
  tokens_per_job: number | null;
}

export interface TeamQuota extends TeamQuotaLimits {
  object: 'team.quota';
  team_id: string;
  use: {
    running_jobs: number;
    queued_jobs: number;
    stored_bytes: number;
    /** Trained this month. */
    trained_tokens: number;
    /** What jobs under way will train at most. */
    planned_tokens: number;
    open_uploads: number;
  };
  /** When the month ends, and its tokens are counted anew. */
  month_ends: number;
}

export interface TeamMember {
  /** The person's. */
  id: string;
  object: 'team.member';
  created_at: number;
  email: string;
  name: string;
  role: Role;
  source: 'manual' | 'oidc';
  disabled: boolean;
}

export interface Invitation {
  id: string;
  object: 'team.invitation';
  created_at: number;
  /** Null: for whoever has the link. */
  email: string | null;
  role: Role;
  created_by: string | null;
  expires_at: number;
  accepted_at: number | null;
  accepted_by: string | null;
  revoked_at: number | null;
}

/** `token` is shown this once. */
export type CreatedInvitation = Invitation & { token: string };

export interface InvitationParams {
  email?: string | null;
  role?: Role;
  /** Seconds. */
  expires_in?: number;
}

export interface AcceptedInvitation {
  object: 'invitation.accepted';
  team: { id: string; name: string };
  role: Role;
  person: { id: string; email: string; name: string };
  key_id: string;
  /** Shown this once. */
  key: string;
}

export interface ApiKey {
  id: string;
  object: 'api_key';
  created_at: number;
  name: string;
  role: Role;
  scopes: string[] | null;
  models: string[] | null;
  /** Null: the team's own. */
  person_id: string | null;
  created_by: string | null;
  last_used_at: number | null;
  expires_at: number | null;
  replaced_by: string | null;
  rotated_at: number | null;
  revoked_at: number | null;
}

/** `key` is shown this once. */
export type CreatedApiKey = ApiKey & { key: string };

export interface ApiKeyParams {
  name: string;
  role?: Role;
  scopes?: string[] | null;
  models?: string[] | null;
  /** Seconds. */
  expires_in?: number | null;
  owner?: 'person' | 'team';
}

export interface Person {
  id: string;
  object: 'person';
  created_at: number;
  email: string;
  name: string;
  is_operator: boolean;
  disabled_at: number | null;
}

export interface WorkerObject {
  id: string;
  object: 'worker';
  hostname: string;
  slots: number;
  running: number;
  load: number;
  base_models: string[];
  draining: boolean;
  device: string | null;
  threads: number | null;
  started_at: number;
  heartbeat_at: number;
  consecutive_faults: number;
  quarantined_at: number | null;
  quarantine_reason: string | null;
}

export interface OperatorKey {
  id: string;
  object: 'operator_key';
  created_at: number;
  name: string;
  person_id: string | null;
  created_by: string | null;
  last_used_at: number | null;
  expires_at: number | null;
  revoked_at: number | null;
}

/** A base model as the operator sees it. */
export interface BaseModelObject {
  id: string;
  object: 'base_model';
  source: 'bundled' | 'operator' | 'folder' | 'hub' | 's3';
  location: string | null;
  revision: string | null;
  commit: string | null;
  file: string | null;
  /** `configured`: not added, but of the configuration. */
  state: 'configured' | 'queued' | 'fetching' | 'ready' | 'failed';
  model_type: string | null;
  bytes_done: number;
  bytes_total: number | null;
  files: { path: string; bytes: number; sha256: string }[] | null;
  weights_sha256: string | null;
  error: { code: string; message: string } | null;
  hidden: boolean;
  /** Only the allowed teams find it. */
  limited: boolean;
  allowed_teams: string[];
  denied_teams: string[];
  added_by: string | null;
  created_at: number | null;
  started_at: number | null;
  finished_at: number | null;
}

/** From one of `folder`, `hub` and `s3`. */
export interface NewBaseModel {
  id: string;
  folder?: string;
  hub?: string;
  s3?: string;
  /** Of the Hub. */
  revision?: string;
  /** The GGUF file to take, where there are several. */
  file?: string;
  /** Ids of the only teams that find it; absent: all do. */
  teams?: string[];
}
