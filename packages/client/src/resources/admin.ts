import type * as Wire from '@graft/wire/types';
import { PageList } from '../page-list.ts';
import type { Query, Transport } from '../transport.ts';
import type {
  ApiKey,
  BaseModelObject,
  Budget,
  CreatedApiKey,
  CreatedInvitation,
  Deleted,
  InvitationParams,
  NewBaseModel,
  OperatorKey,
  Person,
  Role,
  TeamMember,
  TeamObject,
  TeamQuota,
  UsagePrice,
  WorkerObject,
} from '../types.ts';
import { Usage } from './usage.ts';

type PageParams = { limit?: number; after?: string };

/** Operations of the service's operator, with an operator key (`graft_op_…`). */
export class Admin {
  readonly #api: Requests;
  readonly teams: ReturnType<typeof adminTeams>;
  readonly people: ReturnType<typeof adminPeople>;
  readonly workers: ReturnType<typeof adminWorkers>;
  /** Usage of all teams. */
  readonly usage: Usage;
  readonly prices: ReturnType<typeof adminPrices>;
  readonly budgets: ReturnType<typeof adminBudgets>;
  readonly baseModels: ReturnType<typeof adminBaseModels>;
  readonly audit: ReturnType<typeof adminAudit>;

  constructor(transport: Transport) {
    this.#api = requests(transport);
    this.teams = adminTeams(this.#api);
    this.people = adminPeople(this.#api);
    this.workers = adminWorkers(this.#api);
    this.usage = new Usage(transport, '/admin/usage');
    this.prices = adminPrices(this.#api);
    this.budgets = adminBudgets(this.#api);
    this.baseModels = adminBaseModels(this.#api);
    this.audit = adminAudit(this.#api);
  }

  /** Returns versions, and whether the services on which Graft depends are available. */
  service(): Promise<Wire.ServiceState> {
    return this.#api.get('/service');
  }

  /** Returns the numbers of queued and running jobs of each team, in the order of their turns. */
  queue(): Promise<Wire.Queue> {
    return this.#api.get('/queue');
  }

  /** Lists the operator's keys. */
  listKeys(params: PageParams = {}): PageList<OperatorKey> {
    return this.#api.list('/keys', params);
  }

  /** Creates a key. Not retried, because a key whose response was lost is unusable. `expires_in` in seconds. */
  createKey(params: Wire.CreateOperatorKey): Promise<Wire.CreatedOperatorKey> {
    return this.#api.postOnce('/keys', params);
  }

  revokeKey(id: string): Promise<Deleted> {
    return this.#api.delete(`/keys/${encodeURIComponent(id)}`);
  }

  /** Lists adapters that may still be loaded in runtimes of deleted deploy targets. */
  listLeftovers(params: PageParams = {}): PageList<Wire.DeployLeftover> {
    return this.#api.list('/deploy_leftovers', params);
  }

  /** Call it once the runtime has the adapters no longer: their files are then removed. */
  dismissLeftover(id: string): Promise<Deleted> {
    return this.#api.delete(`/deploy_leftovers/${encodeURIComponent(id)}`);
  }
}

type Requests = ReturnType<typeof requests>;

/** Requests to `/admin…`. */
const requests = (transport: Transport) => ({
  list: <T extends { id: string }>(path: string, params: PageParams = {}) =>
    new PageList<T>(transport, `/admin${path}`, params),
  get: <T>(path: string, query?: Query) => transport.json<T>({ method: 'GET', path: `/admin${path}`, query }),
  post: <T>(path: string, json?: object) =>
    transport.json<T>({ method: 'POST', path: `/admin${path}`, json }),
  /** Not retried, because a retry could create a second object. */
  postOnce: <T>(path: string, json: object) =>
    transport.json<T>({ method: 'POST', path: `/admin${path}`, json, maxRetries: 0 }),
  delete: <T = Deleted>(path: string, query?: Query) =>
    transport.json<T>({ method: 'DELETE', path: `/admin${path}`, query }),
});

/** Returns a function that builds the path of an id below `/admin`. */
const pathsOf =
  (collection: string) =>
  (id: string, ...below: string[]): string =>
    [collection, ...[id, ...below].map(encodeURIComponent)].join('/');

function adminTeams(api: Requests) {
  const path = pathsOf('/teams');
  return {
    list: (params?: PageParams & { name?: string }) => api.list<TeamObject>('/teams', params),
    create: (params: Wire.CreateTeam) => api.post<TeamObject>('/teams', params),
    retrieve: (id: string) => api.get<TeamObject>(path(id)),
    update: (id: string, params: Wire.UpdateTeam) => api.post<TeamObject>(path(id), params),
    quota: (id: string) => api.get<TeamQuota>(path(id, 'quota')),
    /** Changes the given limits; null removes a limit. */
    setQuota: (id: string, change: Wire.UpdateTeamQuota) => api.post<TeamQuota>(path(id, 'quota'), change),
    /** Deletes the team permanently with everything it has. `name` must be the team's. */
    delete: (id: string, name: string) => api.delete(path(id), { name }),
    /** Invites a person, usually the team's first admin. Not retried. */
    invite: (id: string, params: InvitationParams = {}) =>
      api.postOnce<CreatedInvitation>(path(id, 'invitations'), params),
    /** Lists the team's API keys, without their secrets. */
    listKeys: (id: string, params?: PageParams) => api.list<ApiKey>(path(id, 'keys'), params),
    /** Creates a key. Not retried, because a key whose response was lost is unusable. `expires_in` in seconds. */
    createKey: (id: string, params: Wire.CreateTeamKey) =>
      api.postOnce<CreatedApiKey>(path(id, 'keys'), params),
    /** Revokes a key and all keys descended from it. */
    revokeKey: (id: string, key: string) => api.delete<Wire.DeletedApiKey>(path(id, 'keys', key)),
    /** Adds a member, or changes a member's role. */
    setMember: (id: string, person: string, role: Role) =>
      api.post<TeamMember>(path(id, 'members', person), { role }),
    removeMember: (id: string, person: string) => api.delete<Wire.RemovedMember>(path(id, 'members', person)),
  };
}

function adminPeople(api: Requests) {
  const path = pathsOf('/people');
  return {
    list: (params?: PageParams & { email?: string }) => api.list<Person>('/people', params),
    create: (params: Wire.CreatePerson) => api.post<Person>('/people', params),
    retrieve: (id: string) => api.get<Person>(path(id)),
    update: (id: string, params: Wire.UpdatePerson) => api.post<Person>(path(id), params),
    /** Permanently erases name and email, and ends the person's sessions, keys and memberships. */
    erase: (id: string) => api.delete(path(id)),
    /** Lists the identities by which the person signs in, one per provider. */
    identities: (id: string) => api.list<Wire.PersonIdentity>(path(id, 'identities')),
    /** Also ends the sessions of the identity. */
    unlink: (id: string, identity: string) => api.delete(path(id, 'identities', identity)),
  };
}

function adminWorkers(api: Requests) {
  const path = pathsOf('/workers');
  return {
    list: (params?: PageParams) => api.list<WorkerObject>('/workers', params),
    /** The worker receives no further jobs, and finishes the running ones; with `drain` these continue elsewhere from a checkpoint. */
    quarantine: (id: string, reason: string, options: { drain?: boolean } = {}) =>
      api.post<WorkerObject>(path(id, 'quarantine'), { reason, ...options }),
    release: (id: string) => api.post<WorkerObject>(path(id, 'release')),
  };
}

function adminPrices(api: Requests) {
  return {
    list: (params?: PageParams) => api.list<UsagePrice>('/prices', params),
    /** Sets a price from `valid_from`, by default now, until the next price of the same kind and model. */
    set: (params: Wire.SetUsagePrice) => api.post<UsagePrice>('/prices', params),
    remove: (id: string) => api.delete(pathsOf('/prices')(id)),
  };
}

function adminBudgets(api: Requests) {
  const path = (teamId: string) => pathsOf('/teams')(teamId, 'budget');
  return {
    retrieve: (teamId: string) => api.get<Budget>(path(teamId)),
    set: (teamId: string, params: Wire.SetBudget) => api.post<Budget>(path(teamId), params),
    remove: (teamId: string) => api.delete<Wire.DeletedBudget>(path(teamId)),
  };
}

function adminBaseModels(api: Requests) {
  const path = pathsOf('/base-models');
  return {
    /** Lists the configured models, then the added ones, newest first. */
    list: (params?: PageParams) => api.list<BaseModelObject>('/base-models', params),
    /** The model is fetched in the background: `retrieve` reports the progress. */
    add: (params: NewBaseModel) => api.post<BaseModelObject>('/base-models', params),
    retrieve: (id: string) => api.get<BaseModelObject>(path(id)),
    /** Hides or shows a model. No team sees a hidden model; existing jobs and adapters keep using it. */
    update: (id: string, params: Wire.UpdateBaseModel) => api.post<BaseModelObject>(path(id), params),
    /** Fetches a failed model again, resuming the download. */
    retry: (id: string) => api.post<BaseModelObject>(path(id, 'retry')),
    /** Adds these teams, by id, to the allowed ones, so that no other team sees the model; null allows all teams. */
    allow: (id: string, teams: string[] | null) => api.post<BaseModelObject>(path(id, 'allow'), { teams }),
    deny: (id: string, teams: string[]) => api.post<BaseModelObject>(path(id, 'deny'), { teams }),
    /** Call after replacing the weights on purpose: the next use records the new ones. */
    forget: (id: string) => api.post<Wire.ForgottenBaseModel>(path(id, 'forget')),
    delete: (id: string) => api.delete(path(id)),
  };
}

/** Chains of the audit log: one for each team, by its id, and one for the installation. */
function adminAudit(api: Requests) {
  return {
    chains: (params?: PageParams) => api.list<Wire.AuditChain>('/audit/chains', params),
    /** Checks a page of a chain: the entries after `after`. */
    check: (chain: string, page?: { after?: number; limit?: number }) =>
      api.get<Wire.AuditCheck>(pathsOf('/audit/chains')(chain, 'check'), page),
  };
}
