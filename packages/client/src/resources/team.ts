import type * as Wire from '@graft/wire/types';
import { PageList } from '../page-list.ts';
import type { Transport } from '../transport.ts';
import type {
  AcceptedInvitation,
  ApiKey,
  ApiKeyParams,
  CreatedApiKey,
  CreatedInvitation,
  Deleted,
  Invitation,
  InvitationParams,
  Role,
  TeamMember,
  TeamObject,
  TeamQuota,
} from '../types.ts';
import { Audit } from './audit.ts';

type PageParams = { limit?: number; after?: string };
type RevocationParams = { descendants?: 'revoke' | 'keep'; exits?: 'end' | 'keep' };

/** The team of the key. */
export class Team {
  readonly #transport: Transport;
  readonly members: TeamMembers;
  readonly invitations: TeamInvitations;
  readonly keys: TeamKeys;
  readonly audit: Audit;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.members = new TeamMembers(transport);
    this.invitations = new TeamInvitations(transport);
    this.keys = new TeamKeys(transport);
    this.audit = new Audit(transport);
  }

  retrieve(): Promise<TeamObject> {
    return this.#transport.json({ method: 'GET', path: '/team' });
  }

  /** Returns the team's limits and their current use. */
  quota(): Promise<TeamQuota> {
    return this.#transport.json({ method: 'GET', path: '/team/quota' });
  }

  /** Lists what sends the team's data to other servers; with `made_by` only what that key or person made. */
  exits(params: { made_by?: string; maker_left?: boolean } = {}): PageList<Wire.TeamExit> {
    return new PageList(this.#transport, '/team/exits', params);
  }

  /** Returns the repositories of the Hub to which the team may publish. */
  publishing(): Promise<Wire.PublishingRules> {
    return this.#transport.json({ method: 'GET', path: '/team/publishing' });
  }

  /** Fields that are not given stay unchanged. */
  setPublishing(params: Wire.SetPublishingRules): Promise<Wire.PublishingRules> {
    return this.#transport.json({ method: 'POST', path: '/team/publishing', json: params });
  }

  /** Deletes the team permanently with everything it has. `name` must be the team's. */
  delete(name: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: '/team', query: { name } });
  }
}

class TeamMembers {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(params: PageParams = {}): PageList<TeamMember> {
    return new PageList(this.#transport, '/team/members', params);
  }

  setRole(personId: string, role: Role): Promise<TeamMember> {
    return this.#transport.json({ method: 'POST', path: memberPath(personId), json: { role } });
  }

  /** `exits`: what happens to what the person made that sends to other servers; by default it continues. */
  remove(personId: string, params: { exits?: 'keep' | 'end' } = {}): Promise<Wire.RemovedMember> {
    return this.#transport.json({ method: 'DELETE', path: memberPath(personId), query: params });
  }

  /** Removes the caller from the team. */
  leave(): Promise<Wire.RemovedMember> {
    return this.#transport.json({ method: 'POST', path: '/team/leave' });
  }
}

class TeamInvitations {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  list(params: PageParams = {}): PageList<Invitation> {
    return new PageList(this.#transport, '/team/invitations', params);
  }

  /** Not retried, because a retry could create a second invitation. */
  create(params: InvitationParams = {}): Promise<CreatedInvitation> {
    return this.#transport.json({ method: 'POST', path: '/team/invitations', json: params, maxRetries: 0 });
  }

  revoke(id: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: `/team/invitations/${encodeURIComponent(id)}` });
  }
}

class TeamKeys {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists all keys of the team for an admin, and their own keys for others. */
  list(params: PageParams = {}): PageList<ApiKey> {
    return new PageList(this.#transport, '/team/keys', params);
  }

  retrieve(id: string): Promise<ApiKey> {
    return this.#transport.json({ method: 'GET', path: keyPath(id) });
  }

  /** Not retried, because a key whose response was lost is unusable: revoke it, and create another one. */
  create(params: ApiKeyParams): Promise<CreatedApiKey> {
    return this.#transport.json({ method: 'POST', path: '/team/keys', json: params, maxRetries: 0 });
  }

  /** `overlap` and `expires_in` in seconds. */
  rotate(id: string, params: { overlap?: number; expires_in?: number } = {}): Promise<CreatedApiKey> {
    return this.#transport.json({
      method: 'POST',
      path: `${keyPath(id)}/rotate`,
      json: params,
      maxRetries: 0,
    });
  }

  /** Revokes a key and, unless they are kept, all keys descended from it and what these made that sends to other servers. */
  revoke(id: string, params: RevocationParams = {}): Promise<Wire.DeletedApiKey> {
    return this.#transport.json({ method: 'DELETE', path: keyPath(id), query: params });
  }

  /** Returns what `revoke` would end. */
  previewRevocation(id: string, params: RevocationParams = {}): Promise<Wire.ApiKeyRevocation> {
    return this.#transport.json({ method: 'GET', path: `${keyPath(id)}/revocation`, query: params });
  }
}

/** For a person who has a link and no key yet. */
export class Invitations {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Not retried, because an invitation works only once. */
  accept(params: { token: string; email?: string; name?: string }): Promise<AcceptedInvitation> {
    return this.#transport.json({ method: 'POST', path: '/invitations/accept', json: params, maxRetries: 0 });
  }
}

const memberPath = (id: string): string => `/team/members/${encodeURIComponent(id)}`;
const keyPath = (id: string): string => `/team/keys/${encodeURIComponent(id)}`;
