import { Adapters } from './resources/adapters.ts';
import { Admin } from './resources/admin.ts';
import { Completions } from './resources/completions.ts';
import { DeployTargets } from './resources/deploy-targets.ts';
import { Files } from './resources/files.ts';
import { Integrations } from './resources/integrations.ts';
import { Jobs } from './resources/jobs.ts';
import { Models } from './resources/models.ts';
import { Sessions } from './resources/sessions.ts';
import { Invitations, Team } from './resources/team.ts';
import { Classifications, Embeddings } from './resources/texts.ts';
import { Uploads } from './resources/uploads.ts';
import { TeamUsage } from './resources/usage.ts';
import { Webhooks } from './resources/webhooks.ts';
import { Transport } from './transport.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  Completion,
  CompletionChunk,
  CompletionParams,
  Me,
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
export class GraftClient {
  readonly baseUrl: string;
  readonly files: Files;
  readonly uploads: Uploads;
  readonly fineTuning: { readonly jobs: Jobs };
  readonly models: Models;
  readonly adapters: Adapters;
  /** The key's team: members, invitations and keys. */
  readonly team: Team;
  readonly invitations: Invitations;
  readonly sessions: Sessions;
  /** Operations for an operator's key. */
  readonly admin: Admin;
  readonly #transport: Transport;
  readonly webhooks: Webhooks;
  readonly integrations: Integrations;
  readonly deployTargets: DeployTargets;
  /** Usage of the key's team. */
  readonly usage: TeamUsage;
  readonly chat: {
    readonly completions: Completions<ChatCompletionParams, ChatCompletion, ChatCompletionChunk>;
  };
  readonly completions: Completions<CompletionParams, Completion, CompletionChunk>;
  readonly embeddings: Embeddings;
  readonly classifications: Classifications;

  constructor(options: GraftClientOptions = {}) {
    const env = globalThis.process?.env ?? {};
    this.baseUrl = checkedBaseUrl(options.baseUrl ?? (env.GRAFT_BASE_URL || 'http://127.0.0.1:8000/v1'));
    const apiKey = options.apiKey === undefined ? env.GRAFT_API_KEY || null : options.apiKey;
    if (apiKey !== null && !/^[\x21-\x7e]+$/.test(apiKey)) {
      throw new TypeError('apiKey holds spaces or characters that no API key has.');
    }
    const transport = new Transport({
      baseUrl: this.baseUrl,
      apiKey,
      // Wrapped, because browsers' fetch must be called on the window.
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
      maxRetries: options.maxRetries ?? 3,
      timeout: options.timeout ?? 600_000,
      headers: options.headers ?? {},
    });
    this.#transport = transport;
    this.team = new Team(transport);
    this.invitations = new Invitations(transport);
    this.sessions = new Sessions(transport);
    this.admin = new Admin(transport);
    this.files = new Files(transport);
    this.uploads = new Uploads(transport);
    this.fineTuning = { jobs: new Jobs(transport) };
    this.models = new Models(transport);
    this.adapters = new Adapters(transport);
    this.webhooks = new Webhooks(transport);
    this.integrations = new Integrations(transport);
    this.deployTargets = new DeployTargets(transport);
    this.usage = new TeamUsage(transport);
    this.chat = { completions: new Completions(transport, '/chat/completions') };
    this.completions = new Completions(transport, '/completions');
    this.embeddings = new Embeddings(transport);
    this.classifications = new Classifications(transport);
  }

  /** Returns the key, its owner and its rights. */
  me(): Promise<Me> {
    return this.#transport.json({ method: 'GET', path: '/me' });
  }
}

function checkedBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new TypeError(`baseUrl is not an http(s) URL: ${text}`);
  }
  return text.replace(/\/+$/, '');
}
