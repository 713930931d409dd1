/** Teams, people, keys and workers, with the field names of the API. Times are Unix seconds. */
import type { ApiKey, Queries, UpdateTeamQuota } from './generated/wire.ts';

export type {
  AcceptedInvitation,
  AddBaseModel as NewBaseModel,
  ApiKey,
  AuditEntry as AuditEntryObject,
  BaseModel as BaseModelObject,
  CreateApiKey as ApiKeyParams,
  CreatedApiKey,
  CreatedInvitation,
  CreateInvitation as InvitationParams,
  Invitation,
  Me,
  OperatorKey,
  Person,
  Session as SessionObject,
  Team as TeamObject,
  TeamMember,
  TeamQuota,
  Worker as WorkerObject,
} from './generated/wire.ts';

export type Role = ApiKey['role'];

export type AuditFilterParams = Omit<Queries['GET /v1/audit'], 'limit'>;

/** Limits of a team, set by the operator. Null: no limit. */
export type TeamQuotaLimits = Required<UpdateTeamQuota>;
