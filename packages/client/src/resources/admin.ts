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
import type { Transport } from '../transport.ts';
import type { Deleted } from '../wire-objects.ts';
import { AdminBudgets, AdminPrices, Usage } from './usage.ts';

type PageParams = { limit?: number; after?: string };

/** What the operator of the service does, with a key of theirs (`graft_op_…`). */
export class Admin {
  readonly #transport: Transport;
  readonly teams: AdminTeams;
  readonly people: AdminPeople;
  readonly workers: AdminWorkers;
  /** Of every team. */
  readonly usage: Usage;
  readonly prices: AdminPrices;
  readonly budgets: AdminBudgets;
  readonly baseModels: AdminBaseModels;
  readonly audit: AdminAudit;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.teams = new AdminTeams(transport);
    this.people = new AdminPeople(transport);
    this.workers = new AdminWorkers(transport);
    this.usage = new Usage(transport, '/admin/usage');
    this.prices = new AdminPrices(transport);
    this.budgets = new AdminBudgets(transport);
    this.baseModels = new AdminBaseModels(transport);
    this.audit = new AdminAudit(transport);
  }

  /** Versions, and whether what the service stands on answers. */
  service(): Promise<Wire.ServiceState> {
    return this.#transport.json({ method: 'GET', path: '/admin/service' });
  }

  /** How many jobs of which team wait and run, in the order of turns. */
  queue(): Promise<Wire.Queue> {
    return this.#transport.json({ method: 'GET', path: '/admin/queue' });
  }

  /** The operator's keys. */
  listKeys(params: PageParams = {}): PageList<OperatorKey> {
    return new PageList(this.#transport, '/admin/keys', params);
  }

  /** Sent once: a key whose answer was lost is known to nobody. `expires_in` in seconds. */
  createKey(params: Wire.CreateOperatorKey): Promise<Wire.CreatedOperatorKey> {
    return this.#transport.json({ method: 'POST', path: '/admin/keys', json: params, maxRetries: 0 });
  }

  revokeKey(id: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: `/admin/keys/${encodeURIComponent(id)}` });
  }
}

class AdminTeams {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(params: PageParams = {}): PageList<TeamObject> {
    return new PageList(this.#transport, '/admin/teams', params);
  }

  create(params: Wire.CreateTeam): Promise<TeamObject> {
    return this.#transport.json({ method: 'POST', path: '/admin/teams', json: params });
  }

  retrieve(id: string): Promise<TeamObject> {
    return this.#transport.json({ method: 'GET', path: teamPath(id) });
  }

  update(id: string, params: Wire.UpdateTeam): Promise<TeamObject> {
    return this.#transport.json({ method: 'POST', path: teamPath(id), json: params });
  }

  quota(id: string): Promise<TeamQuota> {
    return this.#transport.json({ method: 'GET', path: `${teamPath(id)}/quota` });
  }

  /** Changes what is named; null takes a limit away. */
  setQuota(id: string, change: Wire.UpdateTeamQuota): Promise<TeamQuota> {
    return this.#transport.json({ method: 'POST', path: `${teamPath(id)}/quota`, json: change });
  }

  /** With all it has, for good. `name` must be the team's. */
  delete(id: string, name: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: teamPath(id), query: { name } });
  }

  /** Its first admin, as a rule. Sent once. */
  invite(id: string, params: InvitationParams = {}): Promise<CreatedInvitation> {
    return this.#transport.json({
      method: 'POST',
      path: `${teamPath(id)}/invitations`,
      json: params,
      maxRetries: 0,
    });
  }

  /** The team's API keys, without their secrets. */
  listKeys(id: string, params: PageParams = {}): PageList<ApiKey> {
    return new PageList(this.#transport, `${teamPath(id)}/keys`, params);
  }

  /** Sent once: a key whose answer was lost is known to nobody. `expires_in` in seconds. */
  createKey(id: string, params: Wire.CreateTeamKey): Promise<CreatedApiKey> {
    return this.#transport.json({
      method: 'POST',
      path: `${teamPath(id)}/keys`,
      json: params,
      maxRetries: 0,
    });
  }

  /** With all keys descended from it. */
  revokeKey(id: string, key: string): Promise<Wire.DeletedApiKey> {
    return this.#transport.json({
      method: 'DELETE',
      path: `${teamPath(id)}/keys/${encodeURIComponent(key)}`,
    });
  }

  /** Adds a member, or changes the role of one. */
  setMember(id: string, personId: string, role: Role): Promise<TeamMember> {
    return this.#transport.json({ method: 'POST', path: teamMemberPath(id, personId), json: { role } });
  }

  removeMember(id: string, personId: string): Promise<Wire.RemovedMember> {
    return this.#transport.json({ method: 'DELETE', path: teamMemberPath(id, personId) });
  }
}

class AdminPeople {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(params: PageParams = {}): PageList<Person> {
    return new PageList(this.#transport, '/admin/people', params);
  }

  create(params: Wire.CreatePerson): Promise<Person> {
    return this.#transport.json({ method: 'POST', path: '/admin/people', json: params });
  }

  retrieve(id: string): Promise<Person> {
    return this.#transport.json({ method: 'GET', path: `/admin/people/${encodeURIComponent(id)}` });
  }

  update(id: string, params: Wire.UpdatePerson): Promise<Person> {
    const path = `/admin/people/${encodeURIComponent(id)}`;
    return this.#transport.json({ method: 'POST', path, json: params });
  }

  /** Replaces name and email for good, and ends all that the person has. */
  erase(id: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: `/admin/people/${encodeURIComponent(id)}` });
  }

  /** By which they sign in, one at each provider. */
  identities(id: string): PageList<Wire.PersonIdentity> {
    return new PageList(this.#transport, `/admin/people/${encodeURIComponent(id)}/identities`, {});
  }

  /** The sessions that it made end at once. */
  unlink(id: string, identity: string): Promise<Deleted> {
    const path = `/admin/people/${encodeURIComponent(id)}/identities/${encodeURIComponent(identity)}`;
    return this.#transport.json({ method: 'DELETE', path });
  }
}

class AdminWorkers {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(params: PageParams = {}): PageList<WorkerObject> {
    return new PageList(this.#transport, '/admin/workers', params);
  }

  /** It gets no other jobs, and finishes what it runs; with `drain` that goes elsewhere, from a checkpoint. */
  quarantine(id: string, reason: string, options: { drain?: boolean } = {}): Promise<WorkerObject> {
    const path = `/admin/workers/${encodeURIComponent(id)}/quarantine`;
    return this.#transport.json({ method: 'POST', path, json: { reason, ...options } });
  }

  release(id: string): Promise<WorkerObject> {
    const path = `/admin/workers/${encodeURIComponent(id)}/release`;
    return this.#transport.json({ method: 'POST', path });
  }
}

class AdminBaseModels {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Those of the configuration, then those that were added, newest first. */
  list(params: PageParams = {}): PageList<BaseModelObject> {
    return new PageList(this.#transport, '/admin/base-models', params);
  }

  /** It is fetched in the background: `retrieve` tells how far it is. */
  add(params: NewBaseModel): Promise<BaseModelObject> {
    return this.#transport.json({ method: 'POST', path: '/admin/base-models', json: params });
  }

  retrieve(id: string): Promise<BaseModelObject> {
    return this.#transport.json({ method: 'GET', path: baseModelPath(id) });
  }

  /** No team finds a hidden one; what uses it goes on. */
  update(id: string, params: Wire.UpdateBaseModel): Promise<BaseModelObject> {
    return this.#transport.json({ method: 'POST', path: baseModelPath(id), json: params });
  }

  /** One that failed is fetched again, from where it stopped. */
  retry(id: string): Promise<BaseModelObject> {
    return this.#transport.json({ method: 'POST', path: `${baseModelPath(id)}/retry` });
  }

  /** Only these teams, by their ids, and those allowed before; null: every team. */
  allow(id: string, teams: string[] | null): Promise<BaseModelObject> {
    return this.#transport.json({ method: 'POST', path: `${baseModelPath(id)}/allow`, json: { teams } });
  }

  deny(id: string, teams: string[]): Promise<BaseModelObject> {
    return this.#transport.json({ method: 'POST', path: `${baseModelPath(id)}/deny`, json: { teams } });
  }

  delete(id: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: baseModelPath(id) });
  }

  /** After its weights were replaced on purpose: the next use records the new ones. */
  forget(id: string): Promise<Wire.ForgottenBaseModel> {
    return this.#transport.json({ method: 'POST', path: `${baseModelPath(id)}/forget` });
  }
}

/** The chains of the audit log, each with the hash of its last entry. */
class AdminAudit {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** One of each team, by its id, and one of the installation. */
  chains(params: PageParams = {}): PageList<Wire.AuditChain> {
    return new PageList(this.#transport, '/admin/audit/chains', params);
  }

  /** Checks a page of a chain: the entries behind `after`. */
  check(chain: string, page: { after?: number; limit?: number } = {}): Promise<Wire.AuditCheck> {
    const path = `/admin/audit/chains/${encodeURIComponent(chain)}/check`;
    return this.#transport.json({ method: 'GET', path, query: page });
  }
}

const baseModelPath = (id: string): string => `/admin/base-models/${encodeURIComponent(id)}`;
const teamPath = (id: string): string => `/admin/teams/${encodeURIComponent(id)}`;
const teamMemberPath = (id: string, personId: string): string =>
  `${teamPath(id)}/members/${encodeURIComponent(personId)}`;
