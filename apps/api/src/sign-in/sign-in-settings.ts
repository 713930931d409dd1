import { readFileSync } from 'node:fs';
import { type GroupRules, roles, type SessionLimits, type SettingReader } from '@graft/service';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

/** How people sign in. */
export interface SignInSettings {
  /** Where browsers reach Graft: an origin. Null: whatever a request says, which is enough for sessions of keys. */
  publicUrl: URL | null;
  /** Null: keys are exchanged for sessions. */
  oidc: OidcSettings | null;
  limits: SessionLimits;
}

/** A provider of OpenID Connect, and what its groups give. */
export interface OidcSettings extends GroupRules {
  issuer: URL;
  /** Of a provider with several tenants, those whose people sign in, as their tokens name them. Empty: `issuer` alone. */
  allowedIssuers: string[];
  clientId: string;
  clientSecret: string | undefined;
  clientAuthentication: 'client_secret_basic' | 'client_secret_post';
  scopes: string[];
  groupsClaim: string;
  /** Emails are the provider's own, which does not say that they are verified. */
  assumeEmailVerified: boolean;
  /** Keys are exchanged for sessions all the same. */
  allowKeySessions: boolean;
  /** Days after their last sign-in that keys of people work; 0: for ever. */
  keyLapseDays: number;
  /** Milliseconds until an answer of the provider is given up. */
  timeoutMs: number;
}

const text = Type.String({ minLength: 1, maxLength: 256 });

/** The file that `GRAFT_OIDC_CONFIG` names: docs/sign-in.md. */
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

/** Throws one Error that names the faults, never a secret; those that `reader` has already found come first. */
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
  // Without a provider nobody could sign in again.
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

/** What the provider publishes decides who anybody is: in the clear only on this machine. */
function parseIssuer(param: string, value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : null;
  const isHere = url !== null && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url && (url.protocol === 'https:' || (url.protocol === 'http:' && isHere))) return url;
  throw new Error(`${param} in the file of GRAFT_OIDC_CONFIG must begin with https://`);
}

/** Where Microsoft Entra ID signs people in, of all its clouds. */
export function isEntra({ hostname }: URL): boolean {
  return /(^|\.)(microsoftonline\.(com|us|de|cn)|windows\.net)$/.test(hostname);
}

/** Entra's names for the people of every tenant, and the place where one goes. */
const everyTenant = /^\/(common|organizations|consumers|\{tenantid\}|%7btenantid%7d)(\/|$)/i;

const isOfEveryTenant = (url: URL): boolean =>
  /(\{|%7b)tenantid(\}|%7d)/i.test(url.href) || (isEntra(url) && everyTenant.test(url.pathname));

/** An id that no administrator of another tenant can give to a group of theirs. */
const objectId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Anybody can have a tenant, in which they give people any email and groups any name. So the tenants are listed, and of several
 * neither an email that only a tenant vouches for counts, nor a group's name.
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
