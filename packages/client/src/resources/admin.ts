import type * as Wire from '../generated/wire.ts';
import { PageList } from '../page-list.ts';
import type {
  ApiKey,
  BaseModelObject,
  CreatedApiKey,
  CreatedInvitation,
  InvitationParams,
  NewBaseModel,
  OperatorKey,
  Person,
  Role,
  TeamMember,
  TeamObject,
  TeamQuota,
  WorkerObject,
} from '../team-objects.ts';
import type { Query, Transport } from '../transport.ts';
import type { Deleted } from '../wire-objects.ts';
import type { Budget, UsagePrice } from '../wire-usage.ts';
import { Usage } from './usage.ts';

type PageParams = { limit?: number; after?: string };

/** What the operator of the service does, with a key of the operator (`graft_op_…`). */
export class Admin {
  readonly #api: Requests;
  readonly teams: ReturnType<typeof adminTeams>;
  readonly people: ReturnType<typeof adminPeople>;
  readonly workers: ReturnType<typeof adminWorkers>;
  /** Of every team. */
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

  /** Versions, and whether what the service stands on answers. */
  service(): Promise<Wire.ServiceState> {
    return this.#api.get('/service');
  }

  /** How many jobs of which team wait and run, in the order of turns. */
  queue(): Promise<Wire.Queue> {
    return this.#api.get('/queue');
  }

  /** The operator's keys. */
  listKeys(params: PageParams = {}): PageList<OperatorKey> {
    return this.#api.list('/keys', params);
  }

  /** Sent once: a key whose answer was lost is known to nobody. `expires_in` in seconds. */
  createKey(params: Wire.CreateOperatorKey): Promise<Wire.CreatedOperatorKey> {
    return this.#api.postOnce('/keys', params);
  }

  revokeKey(id: string): Promise<Deleted> {
    return this.#api.delete(`/keys/${encodeURIComponent(id)}`);
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
  /** Without a second try, which would create a second one. */
  postOnce: <T>(path: string, json: object) =>
    transport.json<T>({ method: 'POST', path: `/admin${path}`, json, maxRetries: 0 }),
  delete: <T = Deleted>(path: string, query?: Query) =>
    transport.json<T>({ method: 'DELETE', path: `/admin${path}`, query }),
});

/** Of an id below `/admin`. */
const pathsOf =
  (collection: string) =>
  (id: string, ...below: string[]): string =>
    [collection, ...[id, ...below].map(encodeURIComponent)].join('/');

function adminTeams(api: Requests) {
  const path = pathsOf('/teams');
  return {
    list: (params?: PageParams) => api.list<TeamObject>('/teams', params),
    create: (params: Wire.CreateTeam) => api.post<TeamObject>('/teams', params),
    retrieve: (id: string) => api.get<TeamObject>(path(id)),
    update: (id: string, params: Wire.UpdateTeam) => api.post<TeamObject>(path(id), params),
    quota: (id: string) => api.get<TeamQuota>(path(id, 'quota')),
    /** Changes what is named; null removes a limit. */
    setQuota: (id: string, change: Wire.UpdateTeamQuota) => api.post<TeamQuota>(path(id, 'quota'), change),
    /** With all it has, for good. `name` must be the team's. */
    delete: (id: string, name: string) => api.delete(path(id), { name }),
    /** Its first admin, as a rule. Sent once. */
    invite: (id: string, params: InvitationParams = {}) =>
      api.postOnce<CreatedInvitation>(path(id, 'invitations'), params),
    /** The team's API keys, without their secrets. */
    listKeys: (id: string, params?: PageParams) => api.list<ApiKey>(path(id, 'keys'), params),
    /** Sent once: a key whose answer was lost is known to nobody. `expires_in` in seconds. */
    createKey: (id: string, params: Wire.CreateTeamKey) =>
      api.postOnce<CreatedApiKey>(path(id, 'keys'), params),
    /** With all keys descended from it. */
    revokeKey: (id: string, key: string) => api.delete<Wire.DeletedApiKey>(path(id, 'keys', key)),
    /** Adds a member, or changes the role of one. */
    setMember: (id: string, person: string, role: Role) =>
      api.post<TeamMember>(path(id, 'members', person), { role }),
    removeMember: (id: string, person: string) => api.delete<Wire.RemovedMember>(path(id, 'members', person)),
  };
}

function adminPeople(api: Requests) {
  const path = pathsOf('/people');
  return {
    list: (params?: PageParams) => api.list<Person>('/people', params),
    create: (params: Wire.CreatePerson) => api.post<Person>('/people', params),
    retrieve: (id: string) => api.get<Person>(path(id)),
    update: (id: string, params: Wire.UpdatePerson) => api.post<Person>(path(id), params),
    /** Replaces name and email for good, and ends all that the person has. */
    erase: (id: string) => api.delete(path(id)),
    /** By which they sign in, one at each provider. */
    identities: (id: string) => api.list<Wire.PersonIdentity>(path(id, 'identities')),
    /** Ends the sessions of the identity, too. */
    unlink: (id: string, identity: string) => api.delete(path(id, 'identities', identity)),
  };
}

function adminWorkers(api: Requests) {
  const path = pathsOf('/workers');
  return {
    list: (params?: PageParams) => api.list<WorkerObject>('/workers', params),
    /** It gets no other jobs, and finishes what it runs; with `drain` that goes elsewhere, from a checkpoint. */
    quarantine: (id: string, reason: string, options: { drain?: boolean } = {}) =>
      api.post<WorkerObject>(path(id, 'quarantine'), { reason, ...options }),
    release: (id: string) => api.post<WorkerObject>(path(id, 'release')),
  };
}

function adminPrices(api: Requests) {
  return {
    list: (params?: PageParams) => api.list<UsagePrice>('/prices', params),
    /** From `valid_from` on, by default now, until the next price of the same kind and model. */
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
    /** Those of the configuration, then those that were added, newest first. */
    list: (params?: PageParams) => api.list<BaseModelObject>('/base-models', params),
    /** It is fetched in the background: `retrieve` reports the progress. */
    add: (params: NewBaseModel) => api.post<BaseModelObject>('/base-models', params),
    retrieve: (id: string) => api.get<BaseModelObject>(path(id)),
    /** No team finds a hidden one; jobs and adapters keep using it. */
    update: (id: string, params: Wire.UpdateBaseModel) => api.post<BaseModelObject>(path(id), params),
    /** One that failed is fetched again, from where it stopped. */
    retry: (id: string) => api.post<BaseModelObject>(path(id, 'retry')),
    /** Only these teams, by their ids, and those allowed before; null: every team. */
    allow: (id: string, teams: string[] | null) => api.post<BaseModelObject>(path(id, 'allow'), { teams }),
    deny: (id: string, teams: string[]) => api.post<BaseModelObject>(path(id, 'deny'), { teams }),
    /** After its weights were replaced on purpose: the next use records the new ones. */
    forget: (id: string) => api.post<Wire.ForgottenBaseModel>(path(id, 'forget')),
    delete: (id: string) => api.delete(path(id)),
  };
}

/** The chains of the audit log: one of each team, by its id, and one of the installation. */
function adminAudit(api: Requests) {
  return {
    chains: (params?: PageParams) => api.list<Wire.AuditChain>('/audit/chains', params),
    /** Checks a page of a chain: the entries behind `after`. */
    check: (chain: string, page?: { after?: number; limit?: number }) =>
      api.get<Wire.AuditCheck>(pathsOf('/audit/chains')(chain, 'check'), page),
  };
}
