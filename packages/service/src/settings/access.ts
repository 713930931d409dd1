import { bytes, flag, integer, list, secret, text, url } from './kinds.ts';
import { readBy, type Setting } from './setting.ts';

export const secretSettings = {
  GRAFT_BOOTSTRAP_KEY: {
    kind: text,
    unset: 'a key is created at the first start and printed once',
    readBy: ['api'],
    secret: true,
    description: 'The first API key, `graft_<keyid>_<secret>`, for automation.',
  },
  GRAFT_PEPPER: {
    kind: secret(16),
    unset: '`secrets/pepper` in the data folder, created at the first start',
    readBy: ['api'],
    secret: true,
    description:
      'Key of the HMACs by which API keys are stored: `openssl rand -hex 32`. All API processes share it. It may hold [versions](security.md#rotate-secrets), the current one first: `2:secret,1:secret`.',
  },
  GRAFT_SEALING_KEY: {
    kind: secret(16),
    unset: '`secrets/sealing-key` in the data folder, else the pepper',
    readBy: ['api'],
    secret: true,
    description:
      'Key that encrypts the stored secrets of webhooks and integrations. It may hold versions, as `GRAFT_PEPPER`. Set it for all API processes or none.',
  },
  GRAFT_INTERNAL_TOKEN: {
    kind: secret(16),
    unset: '`secrets/internal-token` in the data folder',
    readBy: ['api', 'worker'],
    secret: true,
    description: 'Secret by which a worker proves to the API that it is one. All machines share it.',
  },
  GRAFT_INTERNAL_TLS_CERT: {
    kind: text,
    unset: 'a worker that listens for other machines creates its own certificate',
    readBy: ['api', 'worker'],
    description:
      "PEM file of this machine's certificate for requests between API and workers. Set all three of these settings on all machines, or none. A worker's certificate must name the host in its URL.",
  },
  GRAFT_INTERNAL_TLS_KEY: {
    kind: text,
    unset: 'see above',
    readBy: ['api', 'worker'],
    description: "PEM file of that certificate's key.",
  },
  GRAFT_INTERNAL_TLS_CA: {
    kind: text,
    unset: 'see above',
    readBy: ['api', 'worker'],
    description: 'PEM file of the authority that signs the certificates of API and workers.',
  },
} as const satisfies Record<string, Setting>;

const trueOrFalse = flag('true', 'false');
const rate = integer(0, 9_999_999);
const count = integer(1, 9_999_999);

/** Quotas of teams that operators create from now on; 0: none. */
export const teamSettings = readBy(['api'], {
  GRAFT_TEAM_STORED_BYTES: {
    kind: bytes,
    default: String(100 * 2 ** 30),
    description:
      'Quota of stored bytes of a new team (100 GiB). 0: none, here and in the next three. [Quotas](limits.md#team-quotas) of teams that exist stay, and the first team has none.',
  },
  GRAFT_TEAM_FILES: {
    kind: integer(0, 9_999_999),
    default: '10000',
    description: 'Files and pending uploads of a new team.',
  },
  GRAFT_TEAM_ADAPTERS: {
    kind: integer(0, 9_999_999),
    default: '10000',
    description: 'Adapter versions of a new team.',
  },
  GRAFT_TEAM_EXPORTS: { kind: integer(0, 9_999_999), default: '1000', description: 'Exports of a new team.' },
});

export const limitSettings = readBy(['api'], {
  GRAFT_RATE_PER_KEY: {
    kind: rate,
    default: '60000',
    description: 'Requests a minute of one API key. 0: no limit.',
  },
  GRAFT_RATE_PER_ADDRESS: {
    kind: rate,
    default: '120000',
    description: 'Requests a minute of one address. 0: no limit.',
  },
  GRAFT_RATE_WRONG_KEYS_PER_ADDRESS: {
    kind: rate,
    default: '3000',
    description:
      'Requests a minute with wrong keys from one address, after which only recently valid keys are looked up. 0: no limit.',
  },
  GRAFT_RATE_SIGN_INS_PER_ADDRESS: {
    kind: rate,
    default: '300',
    description: 'Sign-ins a minute that one address starts or completes at the provider. 0: no limit.',
  },
  GRAFT_MAX_REQUESTS_PER_KEY: { kind: count, default: '512', description: 'Open requests of one key.' },
  GRAFT_MAX_REQUESTS_PER_TEAM: { kind: count, default: '1024', description: 'Open requests of one team.' },
  GRAFT_MAX_REQUESTS_PER_ADDRESS: {
    kind: count,
    default: '1024',
    description: 'Open requests of one address.',
  },
  GRAFT_MAX_UPLOADS_PER_KEY: { kind: count, default: '16', description: 'Open uploads of one key.' },
  GRAFT_MAX_UPLOADS_PER_TEAM: { kind: count, default: '64', description: 'Open uploads of one team.' },
  GRAFT_MAX_UPLOADS_PER_ADDRESS: { kind: count, default: '64', description: 'Open uploads of one address.' },
  GRAFT_MAX_STREAMS_PER_KEY: {
    kind: count,
    default: '256',
    description: 'Event streams, and completions with `stream`, of one key.',
  },
  GRAFT_MAX_STREAMS_PER_TEAM: { kind: count, default: '512', description: 'The same of one team.' },
  GRAFT_MAX_STREAMS_PER_ADDRESS: { kind: count, default: '512', description: 'The same of one address.' },
  GRAFT_MAX_COMPLETIONS_PER_KEY: {
    kind: count,
    default: '256',
    description: 'Completions and chat completions of one key, streamed or not.',
  },
  GRAFT_MAX_COMPLETIONS_PER_TEAM: { kind: count, default: '512', description: 'The same of one team.' },
  GRAFT_MAX_COMPLETIONS_PER_ADDRESS: { kind: count, default: '512', description: 'The same of one address.' },
  GRAFT_MAX_CONNECTIONS_PER_ADDRESS: {
    kind: count,
    default: '2048',
    description: 'Connections of one address.',
  },
  GRAFT_MAX_CONNECTIONS: { kind: count, default: '8192', description: 'Connections of all clients.' },
  GRAFT_TRUST_PROXY: {
    kind: list,
    default: '',
    example: '10.0.0.0/8',
    description:
      'Addresses or networks of proxies whose `X-Forwarded-For` names the client. Without it all clients behind a proxy count as one address.',
  },
});

export const signInSettings = readBy(['api'], {
  GRAFT_PUBLIC_URL: {
    kind: text,
    unset: 'the URL of each request',
    example: 'https://graft.example.com',
    description:
      'Where browsers reach Graft: a scheme and a host. With `https`, cookies are valid for this host alone.',
  },
  GRAFT_OIDC_CONFIG: {
    kind: text,
    unset: 'people sign in with an API key',
    description:
      'JSON file that names an [OpenID Connect provider](sign-in.md) and what its groups may do. Needs `GRAFT_PUBLIC_URL`.',
  },
  GRAFT_OIDC_CLIENT_SECRET: {
    kind: text,
    unset: 'a public client',
    secret: true,
    description: 'Client secret at that provider.',
  },
  GRAFT_SESSION_SECONDS: {
    kind: count,
    default: String(7 * 24 * 3600),
    description: 'Lifetime of a session (a week).',
  },
  GRAFT_SESSION_IDLE_SECONDS: {
    kind: count,
    default: String(12 * 3600),
    description: 'Lifetime of a session without a request (12 hours).',
  },
  GRAFT_OPERATOR_SESSION_SECONDS: {
    kind: count,
    default: '3600',
    description:
      'How long after signing in at the provider a session may [operate the service](sign-in.md#the-operator) (an hour).',
  },
  GRAFT_OPERATOR_SESSION_IDLE_SECONDS: {
    kind: count,
    default: String(15 * 60),
    description: 'The same without such a request (15 minutes).',
  },
});

export const monitoringSettings = {
  GRAFT_METRICS_TOKEN: {
    kind: secret(16),
    unset: 'nobody can read metrics',
    readBy: ['api', 'worker', 'compose'],
    secret: true,
    description: 'Bearer token for `GET /metrics` of API and workers.',
  },
  GRAFT_METRICS_LOOPBACK: {
    kind: trueOrFalse,
    default: 'false',
    readBy: ['api', 'worker'],
    description:
      '`true`: without a token, processes on this machine can read metrics. Only where no proxy or sidecar on this machine forwards to Graft.',
  },
  GRAFT_METRICS_BY_TEAM: {
    kind: trueOrFalse,
    default: 'false',
    readBy: ['api', 'worker'],
    description: '`true`: metrics name teams (`graft_team_jobs`), one series for each team with jobs.',
  },
  GRAFT_AUDIT_SINK: {
    kind: text,
    unset: 'the audit log is not exported',
    example: 'https://siem.example.com/ingest',
    readBy: ['api'],
    secret: true,
    description:
      'Where the API exports the [audit log](teams.md#the-audit-log): `https://…` receives JSON lines by POST, `file:/absolute/path` is appended to.',
  },
  GRAFT_AUDIT_SINK_TOKEN: {
    kind: secret(16),
    unset: 'no Authorization header',
    readBy: ['api'],
    secret: true,
    description: 'Bearer token for an `https` audit sink.',
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    kind: url('http', 'https'),
    unset: 'no traces',
    example: 'http://127.0.0.1:4318',
    readBy: ['api', 'worker'],
    elsewhere: true,
    description:
      "Where OpenTelemetry traces are sent (OTLP over HTTP). The SDK's other `OTEL_` variables also apply.",
  },
  GRAFANA_PASSWORD: {
    kind: text,
    unset: 'Grafana does not start',
    readBy: ['compose'],
    secret: true,
    elsewhere: true,
    description: "Password of Grafana's user `admin` in the compose profile `seen`.",
  },
} as const satisfies Record<string, Setting>;
