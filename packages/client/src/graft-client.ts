import type * as Wire from '@graft/wire/types';
import { type CallOptions, dataOf, json, Operations, request, takes, takesOptional } from './operations.ts';
import { Adapters } from './resources/adapters.ts';
import { Completions } from './resources/completions.ts';
import { Files } from './resources/files.ts';
import { Jobs } from './resources/jobs.ts';
import { Uploads } from './resources/uploads.ts';
import { Usage } from './resources/usage.ts';
import { type OpenResponse, Transport } from './transport.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  Completion,
  CompletionChunk,
  CompletionParams,
  EmbeddingVectors,
} from './types.ts';

export interface GraftClientOptions {
  /** Default GRAFT_BASE_URL, else http://127.0.0.1:8000/v1. */
  baseUrl?: string | undefined;
  /** Default GRAFT_API_KEY. */
  apiKey?: string | null | undefined;
  /** Replaces the global fetch: for proxies, tests and runtimes without one. */
  fetch?: typeof globalThis.fetch;
  /** Maximum number of retries after 408, 429, ≥ 500 and connection errors. Default 3. */
  maxRetries?: number;
  /** Milliseconds without any data after which a try fails. Default 10 minutes. */
  timeout?: number;
  /** Sent with every request. */
  headers?: Record<string, string>;
}

/** A Graft service, typed. One object serves any number of concurrent calls; nothing needs closing. */
export class GraftClient extends Operations {
  readonly baseUrl: string;

  constructor(options: GraftClientOptions = {}) {
    const env = globalThis.process?.env ?? {};
    const baseUrl = checkedBaseUrl(options.baseUrl ?? (env.GRAFT_BASE_URL || 'http://127.0.0.1:8000/v1'));
    const apiKey = options.apiKey === undefined ? env.GRAFT_API_KEY || null : options.apiKey;
    if (apiKey !== null && !/^[\x21-\x7e]+$/.test(apiKey)) {
      throw new TypeError('apiKey must be printable ASCII characters without spaces.');
    }
    super(
      new Transport({
        baseUrl,
        apiKey,
        // Wrapped, because browsers' fetch must be called on the window.
        fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
        maxRetries: options.maxRetries ?? 3,
        timeout: options.timeout ?? 600_000,
        headers: options.headers ?? {},
      }),
    );
    this.baseUrl = baseUrl;
  }

  /** Returns the key, its owner and its rights. */
  readonly me = this.call('GET /v1/me', json<Wire.Me>);

  readonly files = new Files(this.transport);
  readonly uploads = new Uploads(this.transport);
  readonly fineTuning = { jobs: new Jobs(this.transport) };
  readonly adapters = new Adapters(this.transport);
  readonly chat = {
    completions: new Completions<ChatCompletionParams, ChatCompletion, ChatCompletionChunk>(
      this.transport,
      'POST /v1/chat/completions',
    ),
  };
  readonly completions = new Completions<CompletionParams, Completion, CompletionChunk>(
    this.transport,
    'POST /v1/completions',
  );

  readonly embeddings = {
    /** Returns a vector for each text, in order. */
    create: this.call('POST /v1/embeddings', json<Wire.EmbeddingList>, takes<Wire.CreateEmbedding>) as {
      (
        params: Wire.CreateEmbedding & { encoding_format?: 'float' | null },
        options?: CallOptions,
      ): Promise<EmbeddingVectors>;
      (params: Wire.CreateEmbedding, options?: CallOptions): Promise<Wire.EmbeddingList>;
    },
  };

  readonly classifications = {
    /** Returns the classes of each text, or of its words, in order. */
    create: this.call('POST /v1/classify', json<Wire.ClassificationList>, takes<Wire.CreateClassification>),
  };

  readonly models = {
    /** Lists base models, then the team's aliases and fine-tuned models, newest first; fetches all pages. */
    list: (): Promise<Wire.Model[]> => this.pages('GET /v1/models', json<Wire.Model>)().toArray(),
    retrieve: this.call('GET /v1/models/{model}', json<Wire.Model>),
    delete: this.call('DELETE /v1/models/{model}', json<Wire.DeletedModel>),
    /** The team's names for its models. */
    aliases: {
      list: this.call('GET /v1/model_aliases', dataOf<Wire.ModelAlias>),
      retrieve: this.call('GET /v1/model_aliases/{alias}', json<Wire.ModelAlias>),
      /** Creates an alias, or points it at another model: a base model, a version or a tag. */
      set: this.call(
        'POST /v1/model_aliases/{alias}',
        json<Wire.ModelAlias>,
        (target: string): Wire.SetModelAlias => ({ target }),
      ),
      delete: this.call('DELETE /v1/model_aliases/{alias}', json<Wire.DeletedModelAlias>),
    },
  };

  /** Usage of the key's team. */
  readonly usage = Object.assign(new Usage(this.transport, 'GET /v1/usage'), {
    /** Throws a 404 `budget_not_found` if the operator has set no budget. */
    budget: this.call('GET /v1/usage/budget', json<Wire.Budget>),
  });

  /** Endpoints to which a team's events are sent; for keys with the role admin. */
  readonly webhooks = {
    /**
     * Creates an endpoint. The response contains the secret, which cannot be shown again. Not retried: a second endpoint would get every
     * event twice.
     */
    create: this.once(
      'POST /v1/webhooks',
      json<Wire.WebhookEndpointWithSecret>,
      takes<Wire.CreateWebhookEndpoint>,
    ),
    list: this.pages('GET /v1/webhooks', json<Wire.WebhookEndpoint>),
    retrieve: this.call('GET /v1/webhooks/{webhook_id}', json<Wire.WebhookEndpoint>),
    /** Fields that are not given stay unchanged. */
    update: this.call(
      'POST /v1/webhooks/{webhook_id}',
      json<Wire.WebhookEndpoint>,
      takes<Wire.UpdateWebhookEndpoint>,
    ),
    delete: this.call('DELETE /v1/webhooks/{webhook_id}', json<Wire.DeletedWebhookEndpoint>),
    /** Creates a new secret. For `overlap_seconds`, by default a day, the previous secrets sign, too. Not retried. */
    rotateSecret: this.once(
      'POST /v1/webhooks/{webhook_id}/rotate_secret',
      json<Wire.WebhookEndpointWithSecret>,
      takesOptional<Wire.RotateWebhookSecret>,
    ),
    /** Sends a `webhook.test` event. */
    test: this.call('POST /v1/webhooks/{webhook_id}/test', json<Wire.WebhookTest>),
    deliveries: {
      /** Lists deliveries, newest first. */
      list: this.pages('GET /v1/webhooks/{webhook_id}/deliveries', json<Wire.WebhookDelivery>),
      resend: this.call(
        'POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend',
        json<Wire.WebhookDelivery>,
      ),
    },
  };

  /** The accounts with which a team tracks its experiments: at most one of each type. */
  readonly integrations = {
    list: this.call('GET /v1/integrations', dataOf<Wire.Integration>),
    retrieve: this.call('GET /v1/integrations/{type}', json<Wire.Integration>),
    /** Creates an integration, or changes the given settings. For keys with the role admin. */
    set: this.call('POST /v1/integrations/{type}', json<Wire.Integration>, takes<Wire.SetIntegration>),
    delete: this.call('DELETE /v1/integrations/{type}', json<Wire.DeletedIntegration>),
  };

  /** Runtimes, such as vLLM servers, that serve the version that a tag points at. */
  readonly deployTargets = {
    /** For keys with the role admin. Not retried: the second request would find the name taken. */
    create: this.once('POST /v1/deploy_targets', json<Wire.DeployTarget>, takes<Wire.CreateDeployTarget>),
    /** Lists targets, newest first. */
    list: this.pages('GET /v1/deploy_targets', json<Wire.DeployTarget>),
    retrieve: this.call('GET /v1/deploy_targets/{target_id}', json<Wire.DeployTarget>),
    /** Fields that are not given stay unchanged. */
    update: this.call(
      'POST /v1/deploy_targets/{target_id}',
      json<Wire.DeployTarget>,
      takes<Wire.UpdateDeployTarget>,
    ),
    /** Compares the runtime with the tag immediately. */
    retry: this.call('POST /v1/deploy_targets/{target_id}/retry', json<Wire.DeployTarget>),
    /** The runtime then unloads the adapter. */
    delete: this.call('DELETE /v1/deploy_targets/{target_id}', json<Wire.DeletedDeployTarget>),
  };

  /** The key's team: members, invitations and keys. */
  readonly team = {
    retrieve: this.call('GET /v1/team', json<Wire.Team>),
    /** Returns the team's limits and their current use. */
    quota: this.call('GET /v1/team/quota', json<Wire.TeamQuota>),
    /** Lists the webhooks, integrations, deploy targets and publications that send the team's data elsewhere; with `made_by` only those that this key or person created. */
    exits: this.pages('GET /v1/team/exits', json<Wire.TeamExit>),
    /** Returns the repositories of the Hub to which the team may publish. */
    publishing: this.call('GET /v1/team/publishing', json<Wire.PublishingRules>),
    /** Fields that are not given stay unchanged. */
    setPublishing: this.call(
      'POST /v1/team/publishing',
      json<Wire.PublishingRules>,
      takes<Wire.SetPublishingRules>,
    ),
    /** Deletes the team permanently with everything it has. `name` must be the team's. */
    delete: this.call('DELETE /v1/team', json<Wire.DeletedTeam>, (name: string) => ({ name })),
    members: {
      list: this.pages('GET /v1/team/members', json<Wire.TeamMember>),
      setRole: this.call('POST /v1/team/members/{person_id}', json<Wire.TeamMember>, roleBody),
      /** `exits`: whether the webhooks, integrations, deploy targets and publications that the person created continue (the default) or end. */
      remove: this.ask('DELETE /v1/team/members/{person_id}', json<Wire.RemovedMember>),
      /** Removes the caller from the team. */
      leave: this.call('POST /v1/team/leave', json<Wire.RemovedMember>),
    },
    invitations: {
      list: this.pages('GET /v1/team/invitations', json<Wire.Invitation>),
      /** Not retried, because a retry could create a second invitation. */
      create: this.once(
        'POST /v1/team/invitations',
        json<Wire.CreatedInvitation>,
        takesOptional<Wire.CreateInvitation>,
      ),
      revoke: this.call('DELETE /v1/team/invitations/{invitation_id}', json<Wire.RevokedInvitation>),
    },
    keys: {
      /** Lists all keys of the team for an admin, and their own keys for others. */
      list: this.pages('GET /v1/team/keys', json<Wire.ApiKey>),
      retrieve: this.call('GET /v1/team/keys/{key_id}', json<Wire.ApiKey>),
      /** Not retried, because a key whose response was lost is unusable: revoke it, and create another one. */
      create: this.once('POST /v1/team/keys', json<Wire.CreatedApiKey>, takes<Wire.CreateApiKey>),
      /** `overlap` and `expires_in` in seconds. */
      rotate: this.once(
        'POST /v1/team/keys/{key_id}/rotate',
        json<Wire.CreatedApiKey>,
        takesOptional<Wire.RotateApiKey>,
      ),
      /** Revokes a key and, unless they are kept, all keys created with it, and the webhooks, integrations, deploy targets and publications of all these keys. */
      revoke: this.ask('DELETE /v1/team/keys/{key_id}', json<Wire.DeletedApiKey>),
      /** Returns what `revoke` would end. */
      previewRevocation: this.ask('GET /v1/team/keys/{key_id}/revocation', json<Wire.ApiKeyRevocation>),
    },
    /** Audit log of the team, for its admins. */
    audit: {
      /** Lists entries, newest first. */
      list: this.pages('GET /v1/audit', json<Wire.AuditEntry>),
      /** Exports entries as lines of JSON or as CSV, oldest first: at most `limit` entries, by default 10,000. */
      export: (query: Wire.Queries['GET /v1/audit/export'] = {}): Promise<OpenResponse> =>
        this.transport.open({
          ...request('GET /v1/audit/export'),
          query: { ...query },
          headers: { accept: '*/*' },
        }),
    },
  };

  /** For a person who has a link and no key yet. */
  readonly invitations = {
    /** Returns to which team, and by whom, somebody is invited; the invitation stays usable. */
    preview: this.call(
      'POST /v1/invitations/preview',
      json<Wire.InvitationPreview>,
      (token: string): Wire.PreviewInvitation => ({ token }),
    ),
    /** Not retried, because an invitation works only once. */
    accept: this.once(
      'POST /v1/invitations/accept',
      json<Wire.AcceptedInvitation>,
      takes<Wire.AcceptInvitation>,
    ),
  };

  /**
   * Browser sessions of the caller: of a key, the sessions for which it was exchanged. `begin` and `signOut` are for pages of the server,
   * whose browser keeps the cookie, with a client without a key (`apiKey: null`).
   */
  readonly sessions = {
    /** Lists the active sessions, newest first. */
    list: this.pages('GET /v1/me/sessions', json<Wire.Session>),
    /** Ends a session at once on all servers. */
    end: this.call('DELETE /v1/me/sessions/{session_id}', json<Wire.EndedSession>),
    /** Ends all sessions of the caller. */
    endAll: this.call('DELETE /v1/me/sessions', json<Wire.EndedSessions>),
    /** Returns the available ways to sign in, and whether this browser is signed in. */
    options: this.call('GET /v1/sign-in/options', json<Wire.SignInOptions>),
    /** Exchanges a key for a session of this browser. */
    begin: this.call('POST /v1/sign-in/key', json<Wire.Session>, (key: string): Wire.KeySignIn => ({ key })),
    /** Ends the session of this browser. */
    signOut: this.call('POST /v1/sign-out', json<Wire.SignedOut>),
    /** Switches the session to another team of the person. */
    chooseTeam: this.call('POST /v1/me/team', json<Wire.Me>, (team: string): Wire.ChooseTeam => ({ team })),
    /** Adds the signed-in person to the team whose invitation has this token. */
    acceptInvitation: this.call(
      'POST /v1/me/invitations',
      json<Wire.JoinedTeam>,
      (token: string): Wire.AcceptInvitationAsMe => ({ token }),
    ),
  };

  /** Operations of the service's operator, with an operator key (`graft_op_…`). */
  readonly admin = {
    /** Returns versions, and whether the services on which Graft depends are available. */
    service: this.call('GET /v1/admin/service', json<Wire.ServiceState>),
    /** Returns the numbers of queued and running jobs of each team, in the order of their turns. */
    queue: this.call('GET /v1/admin/queue', json<Wire.Queue>),
    /** Lists the operator's keys. */
    listKeys: this.pages('GET /v1/admin/keys', json<Wire.OperatorKey>),
    /** Creates a key. Not retried, because a key whose response was lost is unusable. `expires_in` in seconds. */
    createKey: this.once('POST /v1/admin/keys', json<Wire.CreatedOperatorKey>, takes<Wire.CreateOperatorKey>),
    revokeKey: this.call('DELETE /v1/admin/keys/{key_id}', json<Wire.DeletedOperatorKey>),
    /** Lists adapters that may still be loaded in runtimes of deleted deploy targets. */
    listLeftovers: this.pages('GET /v1/admin/deploy_leftovers', json<Wire.DeployLeftover>),
    /** Call it once the runtime has the adapters no longer: their files are then removed. */
    dismissLeftover: this.call(
      'DELETE /v1/admin/deploy_leftovers/{leftover_id}',
      json<Wire.DismissedDeployLeftover>,
    ),
    /** Usage of all teams. */
    usage: new Usage(this.transport, 'GET /v1/admin/usage'),
    teams: {
      list: this.pages('GET /v1/admin/teams', json<Wire.Team>),
      create: this.call('POST /v1/admin/teams', json<Wire.Team>, takes<Wire.CreateTeam>),
      retrieve: this.call('GET /v1/admin/teams/{team_id}', json<Wire.Team>),
      update: this.call('POST /v1/admin/teams/{team_id}', json<Wire.Team>, takes<Wire.UpdateTeam>),
      quota: this.call('GET /v1/admin/teams/{team_id}/quota', json<Wire.TeamQuota>),
      /** Changes the given limits; null removes a limit. */
      setQuota: this.call(
        'POST /v1/admin/teams/{team_id}/quota',
        json<Wire.TeamQuota>,
        takes<Wire.UpdateTeamQuota>,
      ),
      /** Deletes the team permanently with everything it has. `name` must be the team's. */
      delete: this.call('DELETE /v1/admin/teams/{team_id}', json<Wire.DeletedTeam>, (name: string) => ({
        name,
      })),
      /** Invites a person, usually the team's first admin. Not retried. */
      invite: this.once(
        'POST /v1/admin/teams/{team_id}/invitations',
        json<Wire.CreatedInvitation>,
        takesOptional<Wire.CreateInvitation>,
      ),
      /** Lists the team's API keys, without their secrets. */
      listKeys: this.pages('GET /v1/admin/teams/{team_id}/keys', json<Wire.ApiKey>),
      /** Creates a key. Not retried, because a key whose response was lost is unusable. `expires_in` in seconds. */
      createKey: this.once(
        'POST /v1/admin/teams/{team_id}/keys',
        json<Wire.CreatedApiKey>,
        takes<Wire.CreateTeamKey>,
      ),
      /** Revokes a key and all keys descended from it. */
      revokeKey: this.call('DELETE /v1/admin/teams/{team_id}/keys/{key_id}', json<Wire.DeletedApiKey>),
      /** Adds a member, or changes a member's role. */
      setMember: this.call(
        'POST /v1/admin/teams/{team_id}/members/{person_id}',
        json<Wire.TeamMember>,
        roleBody,
      ),
      removeMember: this.call(
        'DELETE /v1/admin/teams/{team_id}/members/{person_id}',
        json<Wire.RemovedMember>,
      ),
    },
    people: {
      list: this.pages('GET /v1/admin/people', json<Wire.Person>),
      create: this.call('POST /v1/admin/people', json<Wire.Person>, takes<Wire.CreatePerson>),
      retrieve: this.call('GET /v1/admin/people/{person_id}', json<Wire.Person>),
      update: this.call('POST /v1/admin/people/{person_id}', json<Wire.Person>, takes<Wire.UpdatePerson>),
      /** Permanently erases name and email, and ends the person's sessions, keys and memberships. */
      erase: this.call('DELETE /v1/admin/people/{person_id}', json<Wire.ErasedPerson>),
      /** Lists the identities by which the person signs in, one per provider. */
      identities: this.pages('GET /v1/admin/people/{person_id}/identities', json<Wire.PersonIdentity>),
      /** Also ends the sessions of the identity. */
      unlink: this.call(
        'DELETE /v1/admin/people/{person_id}/identities/{identity_id}',
        json<Wire.UnlinkedIdentity>,
      ),
    },
    workers: {
      list: this.pages('GET /v1/admin/workers', json<Wire.Worker>),
      /** The worker receives no further jobs, and finishes the running ones; with `drain` these continue elsewhere from a checkpoint. */
      quarantine: this.call(
        'POST /v1/admin/workers/{worker_id}/quarantine',
        json<Wire.Worker>,
        (reason: string, options?: { drain?: boolean }): Wire.QuarantineWorker => ({ reason, ...options }),
      ),
      release: this.call('POST /v1/admin/workers/{worker_id}/release', json<Wire.Worker>),
    },
    prices: {
      list: this.pages('GET /v1/admin/prices', json<Wire.UsagePrice>),
      /** Sets a price from `valid_from`, by default now, until the next price of the same kind and model. */
      set: this.call('POST /v1/admin/prices', json<Wire.UsagePrice>, takes<Wire.SetUsagePrice>),
      remove: this.call('DELETE /v1/admin/prices/{price_id}', json<Wire.DeletedUsagePrice>),
    },
    budgets: {
      retrieve: this.call('GET /v1/admin/teams/{team_id}/budget', json<Wire.Budget>),
      set: this.call('POST /v1/admin/teams/{team_id}/budget', json<Wire.Budget>, takes<Wire.SetBudget>),
      remove: this.call('DELETE /v1/admin/teams/{team_id}/budget', json<Wire.DeletedBudget>),
    },
    baseModels: {
      /** Lists the configured models, then the added ones, newest first. */
      list: this.pages('GET /v1/admin/base-models', json<Wire.BaseModel>),
      /** The model is fetched in the background: `retrieve` reports the progress. */
      add: this.call('POST /v1/admin/base-models', json<Wire.BaseModel>, takes<Wire.AddBaseModel>),
      retrieve: this.call('GET /v1/admin/base-models/{base_model_id}', json<Wire.BaseModel>),
      /** Hides or shows a model. No team sees a hidden model; existing jobs and adapters keep using it. */
      update: this.call(
        'POST /v1/admin/base-models/{base_model_id}',
        json<Wire.BaseModel>,
        takes<Wire.UpdateBaseModel>,
      ),
      /** Fetches a failed model again, resuming the download. */
      retry: this.call('POST /v1/admin/base-models/{base_model_id}/retry', json<Wire.BaseModel>),
      /** Adds these teams, by id, to the allowed ones, so that no other team sees the model; null allows all teams. */
      allow: this.call(
        'POST /v1/admin/base-models/{base_model_id}/allow',
        json<Wire.BaseModel>,
        (teams: string[] | null): Wire.AllowBaseModel => ({ teams }),
      ),
      deny: this.call(
        'POST /v1/admin/base-models/{base_model_id}/deny',
        json<Wire.BaseModel>,
        (teams: string[]): Wire.DenyBaseModel => ({ teams }),
      ),
      /** Call after replacing the weights on purpose: the next use records the new ones. */
      forget: this.call('POST /v1/admin/base-models/{base_model_id}/forget', json<Wire.ForgottenBaseModel>),
      delete: this.call('DELETE /v1/admin/base-models/{base_model_id}', json<Wire.DeletedBaseModel>),
    },
    /** Chains of the audit log: one for each team, by its id, and one for the installation. */
    audit: {
      chains: this.pages('GET /v1/admin/audit/chains', json<Wire.AuditChain>),
      /** Checks a page of a chain: the entries after `after`. */
      check: this.ask('GET /v1/admin/audit/chains/{chain_id}/check', json<Wire.AuditCheck>),
    },
  };
}

const roleBody = (role: Wire.SetRole['role']): Wire.SetRole => ({ role });

function checkedBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new TypeError(`baseUrl must be an http or https URL, got ${text}`);
  }
  return text.replace(/\/+$/, '');
}
