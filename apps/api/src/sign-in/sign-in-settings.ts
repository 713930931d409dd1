import { readFileSync } from 'node:fs';
import type { GroupRules, SessionLimits } from '@graft/service/sessions';
import type { SettingReader } from '@graft/service/settings';
import { roles } from '@graft/wire/lists';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

export interface SignInSettings {
  /** Origin at which browsers reach Graft. Null: taken from each request, which is enough for sessions of keys. */
  publicUrl: URL | null;
  /** Null: people exchange keys for sessions. */
  oidc: OidcSettings | null;
  limits: SessionLimits;
}

/** An OpenID Connect provider, and what membership in its groups grants. */
export interface OidcSettings extends GroupRules {
  issuer: URL;
  /** Issuers of the accepted tenants, for a provider with several tenants. Empty: only `issuer`. */
  allowedIssuers: string[];
  clientId: string;
  clientSecret: string | undefined;
  clientAuthentication: 'client_secret_basic' | 'client_secret_post';
  scopes: string[];
  groupsClaim: string;
  /** Treats emails as verified, for a provider that issues its own emails without saying that they are verified. */
  assumeEmailVerified: boolean;
  allowKeySessions: boolean;
  /** Days after a person's last sign-in for which their keys work; 0: forever. */
  keyLapseDays: number;
  timeoutMs: number;
}

const text = Type.String({ minLength: 1, maxLength: 256 });

/** The file that `GRAFT_OIDC_CONFIG` names, described in docs/sign-in.md. */
const FileSchema = Type.Object(
  {
    issuer: Type.String({ minLength: 1, maxLength: 1024 }),
    allowed_issuers: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { minItems: 1, maxItems: 100 }),
    ),
    client_id: text,
    client_authentication: Type.Optional(Type.Enum(['client_secret_basic', 'client_secret_post'])),
    scopes: Type.Optional(
      Type.Array(Type.String({ pattern: '^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$' }), { maxItems: 32 }),
    ),
    groups_claim: Type.Optional(text),
    assume_email_verified: Type.Optional(Type.Boolean()),
    allow_key_sessions: Type.Optional(Type.Boolean()),
    key_lapse_days: Type.Optional(Type.Integer({ minimum: 0, maximum: 3650 })),
    teams: Type.Optional(
      Type.Array(
        Type.Object(
          { group: text, team: text, role: Type.Enum([...roles]) },
          { additionalProperties: false },
        ),
        { maxItems: 1000 },
      ),
    ),
    operator_groups: Type.Optional(Type.Array(text, { maxItems: 100 })),
  },
  { additionalProperties: false },
);

/** Throws one Error that names all errors, those that `reader` has already found first, and never a secret. */
export function loadSignInSettings({ read, check }: SettingReader): SignInSettings {
  const url = read('GRAFT_PUBLIC_URL');
  const file = read('GRAFT_OIDC_CONFIG');
  const clientSecret = read('GRAFT_OIDC_CLIENT_SECRET');
  const limits = {
    seconds: read('GRAFT_SESSION_SECONDS'),
    idleSeconds: read('GRAFT_SESSION_IDLE_SECONDS'),
    operator: {
      seconds: read('GRAFT_OPERATOR_SESSION_SECONDS'),
      idleSeconds: read('GRAFT_OPERATOR_SESSION_IDLE_SECONDS'),
    },
  };
  check();
  const publicUrl = url === undefined ? null : parsePublicUrl(url);
  // Without a provider nobody could sign in again, so keys do not lapse.
  if (file === undefined) return { publicUrl, oidc: null, limits: { ...limits, keyLapseDays: 0 } };
  if (publicUrl === null) {
    throw new Error('GRAFT_OIDC_CONFIG needs GRAFT_PUBLIC_URL: the provider sends people back there');
  }
  const oidc = readOidcFile(file, clientSecret);
  return { publicUrl, oidc, limits: { ...limits, keyLapseDays: oidc.keyLapseDays } };
}

function parsePublicUrl(value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url;
  throw new Error('GRAFT_PUBLIC_URL must be a scheme and a host alone, such as https://graft.example.com');
}

function readOidcFile(path: string, clientSecret: string | undefined): OidcSettings {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`GRAFT_OIDC_CONFIG cannot be read: ${(error as Error).message}`);
  }
  const faults = [...Value.Errors(FileSchema, content)].map(
    ({ instancePath, message }) => `  ${instancePath.slice(1) || 'it'} ${message}`,
  );
  if (faults.length > 0) throw new Error(`Faulty file of GRAFT_OIDC_CONFIG:\n${faults.join('\n')}`);
  const file = content as Static<typeof FileSchema>;
  checkTenants(file);
  return {
    issuer: parseIssuer('issuer', file.issuer),
    allowedIssuers: file.allowed_issuers ?? [],
    clientId: file.client_id,
    clientSecret,
    clientAuthentication: file.client_authentication ?? 'client_secret_basic',
    scopes: [...new Set(['openid', ...(file.scopes ?? ['email', 'profile'])])],
    groupsClaim: file.groups_claim ?? 'groups',
    assumeEmailVerified: file.assume_email_verified ?? false,
    allowKeySessions: file.allow_key_sessions ?? false,
    keyLapseDays: file.key_lapse_days ?? 30,
    teams: file.teams ?? [],
    operatorGroups: file.operator_groups ?? [],
    timeoutMs: 5_000,
  };
}

/** Parses the issuer, whose data decides who anyone is: plain http is allowed only on this machine. */
function parseIssuer(param: string, value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : null;
  const isHere = url !== null && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url && (url.protocol === 'https:' || (url.protocol === 'http:' && isHere))) return url;
  throw new Error(`${param} in the file of GRAFT_OIDC_CONFIG must begin with https://`);
}

/** Checks whether a URL is a Microsoft Entra ID sign-in host, in any of its clouds. */
export function isEntra({ hostname }: URL): boolean {
  return /(^|\.)(microsoftonline\.(com|us|de|cn)|windows\.net)$/.test(hostname);
}

/** Entra's paths for people of all tenants, and the placeholder of a tenant. */
const everyTenant = /^\/(common|organizations|consumers|\{tenantid\}|%7btenantid%7d)(\/|$)/i;

const isOfEveryTenant = (url: URL): boolean =>
  /(\{|%7b)tenantid(\}|%7d)/i.test(url.href) || (isEntra(url) && everyTenant.test(url.pathname));

/** A group id that no administrator of another tenant can assign to their own group. */
const objectId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Anyone can create a tenant, and there assign any email to people and any name to groups. So all tenants must be listed, and with several
 * tenants neither emails that only a tenant asserts nor group names are accepted.
 */
function checkTenants(file: Static<typeof FileSchema>): void {
  const fault = (param: string, message: string) =>
    new Error(`${param} in the file of GRAFT_OIDC_CONFIG ${message}`);
  const { allowed_issuers: allowed = [], teams = [], operator_groups: operators = [] } = file;
  for (const [i, each] of allowed.entries()) {
    if (isOfEveryTenant(parseIssuer(`allowed_issuers/${i}`, each))) {
      throw fault(`allowed_issuers/${i}`, 'must name one tenant, as the claim iss of its tokens does');
    }
  }
  if (allowed.length === 0 && isOfEveryTenant(parseIssuer('issuer', file.issuer))) {
    throw fault(
      'issuer',
      'takes people of every tenant: name your own, such as https://login.microsoftonline.com/TENANT-ID/v2.0, or list those that you trust in allowed_issuers',
    );
  }
  if (allowed.length < 2) return;
  if (file.assume_email_verified) {
    throw fault(
      'assume_email_verified',
      'must be false with several allowed_issuers: each could claim any email. Have the provider send email_verified, or Entra xms_edov',
    );
  }
  const named = [
    ...teams.map(({ group }, i) => [`teams/${i}/group`, group] as const),
    ...operators.map((group, i) => [`operator_groups/${i}`, group] as const),
  ].find(([, group]) => !objectId.test(group));
  if (named) {
    throw fault(
      named[0],
      'must be the object id of a group with several allowed_issuers: each can have groups of any name',
    );
  }
}
