/** Checks of a provider: its issuer, its tenants, and the signatures of its tokens. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { VerifiedClaims } from '@graft/service/sessions';
import { settingReader } from '@graft/service/settings';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { openBrowser, openTestProvider, type TestProvider, testClient } from '../testing/oidc-provider.ts';
import type { Flow } from './flow-cookie.ts';
import { createOidcClient, type OidcClient } from './oidc-client.ts';
import { loadSignInSettings } from './sign-in-settings.ts';

const publicUrl = 'http://127.0.0.1:9';
const callback = `${publicUrl}/v1/sign-in/callback`;
const realFetch = globalThis.fetch;

let provider: TestProvider;
let folder: string;
before(async () => {
  provider = await openTestProvider(callback);
  folder = await mkdtemp(join(tmpdir(), 'graft-oidc-client-'));
  provider.people.set('ada', { email: 'ada@example.com', email_verified: true, name: 'Ada' });
});
beforeEach(() => Object.assign(provider, { forge: null, failing: null, sign: provider.signAsItself }));
afterEach(() => {
  globalThis.fetch = realFetch;
});
after(async () => {
  await provider?.close();
  await rm(folder, { recursive: true });
});

async function clientOf(file: object): Promise<OidcClient> {
  const path = join(folder, 'oidc.json');
  await writeFile(path, JSON.stringify({ client_id: testClient.id, ...file }));
  const env = {
    GRAFT_PUBLIC_URL: publicUrl,
    GRAFT_OIDC_CONFIG: path,
    GRAFT_OIDC_CLIENT_SECRET: testClient.secret,
  };
  const { oidc } = loadSignInSettings(settingReader(env));
  return createOidcClient(oidc!, new URL(publicUrl));
}

let flows = 0;

/** Signs in at the provider as Ada. */
async function signIn(client: OidcClient): Promise<VerifiedClaims> {
  const flow: Flow = {
    state: `state-${++flows}`,
    nonce: `nonce-${flows}`,
    codeVerifier: 'v'.repeat(43),
    returnTo: '/',
    team: null,
    reauthenticate: false,
    endsAt: Date.now() + 600_000,
  };
  const at = await client.authorizationUrl(flow);
  at.searchParams.set('login_hint', 'ada');
  // The browser, unlike Graft, goes to the real address.
  const back = await openBrowser().follow(at.href.replace(/^https:\/\/[^/]+/, provider.issuer), callback);
  const { searchParams } = new URL(back);
  // RFC 9207's parameter, which Entra does not send.
  if (at.protocol === 'https:') searchParams.delete('iss');
  return await client.finish(searchParams, flow, 'here');
}

const failed = async (client: OidcClient, message?: RegExp) =>
  await assert.rejects(signIn(client), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'sign_in_failed');
    if (message) assert.match(error.message, message);
    return true;
  });

function answer(response: ServerResponse, body: unknown): true {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  return true;
}

describe('an issuer of many tenants', () => {
  const entra = 'https://login.microsoftonline.com';
  const tenants = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
  const issuerOf = (tenant: string) => `${entra}/${tenant}/v2.0`;

  /** Redirects this process' requests to Entra to the test's provider, with Entra's metadata. */
  function imitateEntra(named = issuerOf('{tenantid}')): void {
    globalThis.fetch = async (input, init) => {
      const url = new URL(String(input));
      if (url.origin !== entra) return await realFetch(input, init);
      if (!url.pathname.endsWith('/.well-known/openid-configuration')) {
        return await realFetch(provider.issuer + url.pathname, init);
      }
      const metadata = (await (
        await realFetch(`${provider.issuer}/.well-known/openid-configuration`)
      ).json()) as object;
      const moved = JSON.parse(JSON.stringify(metadata).replaceAll(provider.issuer, entra));
      return Response.json({
        ...moved,
        issuer: named,
        authorization_response_iss_parameter_supported: false,
      });
    };
  }

  /** A token of this tenant for somebody there who claims any email. */
  function forgeTenant(tid: string, iss = issuerOf(tid)): void {
    provider.forge = (claims) => ({
      ...claims,
      tid,
      iss,
      email: 'victim@example.com',
      email_verified: undefined,
    });
  }

  test('is refused when the server starts, unless its tenants are listed', async () => {
    for (const tenant of ['common', 'organizations', 'consumers', '{tenantid}', '%7Btenantid%7D', 'Common']) {
      await assert.rejects(clientOf({ issuer: issuerOf(tenant) }), /allowed_issuers/, tenant);
    }
    const listed = { issuer: issuerOf('organizations'), allowed_issuers: tenants.map(issuerOf) };
    await clientOf(listed);
    await assert.rejects(clientOf({ ...listed, allowed_issuers: [] }), /allowed_issuers/);
    await assert.rejects(
      clientOf({ ...listed, allowed_issuers: [issuerOf('common')] }),
      /allowed_issuers\/0.*one tenant/,
    );
    await assert.rejects(clientOf({ ...listed, assume_email_verified: true }), /assume_email_verified/);
    await clientOf({ ...listed, allowed_issuers: [issuerOf(tenants[0]!)], assume_email_verified: true });
    await assert.rejects(
      clientOf({ ...listed, operator_groups: ['graft-operators'] }),
      /operator_groups.*id/,
    );
    await assert.rejects(
      clientOf({ ...listed, teams: [{ group: 'research', team: 'acme', role: 'admin' }] }),
      /teams.*id/,
    );
    await clientOf({ ...listed, operator_groups: [tenants[0]] });
  });

  test('lets in people of the listed tenants, each with the issuer of their tenant', async () => {
    imitateEntra();
    const client = await clientOf({
      issuer: issuerOf('organizations'),
      allowed_issuers: tenants.map(issuerOf),
    });
    for (const tenant of tenants) {
      forgeTenant(tenant);
      const { issuer, subject, email } = await signIn(client);
      assert.deepEqual([issuer, subject], [issuerOf(tenant), 'ada']);
      // An administrator can set any email for the people of a tenant, but cannot prove another domain.
      assert.equal(email, null);
    }
    const unproved = provider.forge!;
    for (const [proved, email] of [
      [true, 'victim@example.com'],
      ['1', 'victim@example.com'],
      [false, null],
      ['0', null],
    ] as const) {
      provider.forge = (claims) => ({ ...unproved(claims), xms_edov: proved });
      assert.equal((await signIn(client)).email, email);
    }
  });

  test('lets in nobody of another tenant, and none whose token contradicts itself', async () => {
    imitateEntra();
    const foreign = '33333333-3333-4333-8333-333333333333';
    const client = await clientOf({
      issuer: issuerOf('organizations'),
      allowed_issuers: [issuerOf(tenants[0]!)],
      assume_email_verified: true,
    });
    forgeTenant(tenants[0]!);
    assert.equal((await signIn(client)).email, 'victim@example.com');
    for (const [tid, iss] of [
      [foreign, issuerOf(foreign)],
      [tenants[0]!, issuerOf(foreign)],
      [foreign, issuerOf(tenants[0]!)],
      [tenants[1]!, issuerOf(tenants[1]!)],
      ['{tenantid}', issuerOf('{tenantid}')],
    ] as const) {
      forgeTenant(tid, iss);
      await failed(client);
    }
  });

  test('is refused where the configured issuer looks like one tenant’s', async () => {
    forgeTenant('33333333-3333-4333-8333-333333333333');
    for (const issuer of [`${entra}/acme.example/v2.0`, issuerOf(tenants[0]!), `${entra}/`]) {
      imitateEntra();
      await failed(await clientOf({ issuer, assume_email_verified: true }), /issuer/);
    }
    imitateEntra(issuerOf(tenants[1]!));
    await failed(await clientOf({ issuer: issuerOf(tenants[0]!) }), /issuer/);
    // Also with other providers.
    provider.failing = (request, response) =>
      request.url!.includes('openid-configuration') &&
      answer(response, { issuer: `${provider.issuer}/{tenantid}` });
    await failed(await clientOf({ issuer: provider.issuer }), /issuer.*tenantid/);
  });
});

describe('an ID token', () => {
  const metadata = { alg: 'RS256', kid: 'test' };
  let other: Awaited<ReturnType<typeof generateKeyPair>>;
  let otherJwk: JWK;
  /** Keys that the provider publishes; null: its own. */
  let keys: JWK[] | null;
  let keyRequests: number;
  before(async () => {
    other = await generateKeyPair('RS256', { extractable: true });
    otherJwk = await exportJWK(other.publicKey);
  });
  beforeEach(() => {
    [keys, keyRequests] = [null, 0];
    provider.forge = (claims) => claims;
    provider.failing = (request, response) => {
      if (request.url !== '/jwks') return false;
      keyRequests++;
      return keys !== null && answer(response, { keys });
    };
  });

  const byOther =
    (header = metadata) =>
    (claims: Record<string, unknown>) =>
      new SignJWT(claims).setProtectedHeader(header).sign(other.privateKey);
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

  test('of another key, of none, or changed after it was signed, lets nobody in', async () => {
    const client = await clientOf({ issuer: provider.issuer });
    assert.equal((await signIn(client)).subject, 'ada');
    const published = (await (await realFetch(`${provider.issuer}/jwks`)).json()) as { keys: JWK[] };
    const secrets = [testClient.secret, JSON.stringify(published.keys[0])];
    const attacks: TestProvider['sign'][] = [
      byOther(),
      byOther({ alg: 'RS256' } as typeof metadata),
      (claims) => `${encode({ alg: 'none' })}.${encode(claims)}.`,
      (claims) => `${encode({ alg: 'None', kid: 'test' })}.${encode(claims)}.`,
      (claims) => `${encode(metadata)}.${encode(claims)}.`,
      ...secrets.map((secret) => (claims: object) => {
        const signed = `${encode({ alg: 'HS256', kid: 'test' })}.${encode(claims)}`;
        return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
      }),
      async (claims) => {
        const [header, , signature] = (await provider.signAsItself(claims)).split('.');
        return `${header}.${encode({ ...claims, name: 'Eve' })}.${signature}`;
      },
      // Keys inside the token are not trusted.
      (claims) =>
        new SignJWT(claims).setProtectedHeader({ ...metadata, jwk: otherJwk }).sign(other.privateKey),
      (claims) =>
        new SignJWT(claims)
          .setProtectedHeader({ ...metadata, jku: 'http://127.0.0.1:9/jwks' })
          .sign(other.privateKey),
    ];
    for (const [number, sign] of attacks.entries()) {
      provider.sign = sign;
      await assert.rejects(signIn(client), { code: 'sign_in_failed' }, `attack ${number}`);
    }
  });

  test('of a key that is new since the keys were read is checked with keys read again', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const client = await clientOf({ issuer: provider.issuer });
    await signIn(client);
    keys = [{ ...otherJwk, kid: 'next', alg: 'RS256', use: 'sig' }];
    provider.sign = byOther({ alg: 'RS256', kid: 'next' });
    t.mock.timers.tick(61_000);
    assert.equal((await signIn(client)).subject, 'ada');
    assert.equal(keyRequests, 2);
    // The former key is no longer published.
    provider.sign = provider.signAsItself;
    await failed(client);
  });

  test('of unknown keys does not make Graft ask for keys again and again', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const client = await clientOf({ issuer: provider.issuer });
    await signIn(client);
    let kid = 0;
    provider.sign = (claims) => byOther({ alg: 'RS256', kid: `unknown-${++kid}` })(claims);
    for (const _ of Array(10)) await failed(client);
    assert.equal(keyRequests, 1);
    t.mock.timers.tick(61_000);
    await Promise.all(Array.from({ length: 10 }, () => failed(client)));
    assert.ok(keyRequests <= 2, `${keyRequests} requests`);
  });

  test('cannot be checked while the URL of the keys is unavailable, and lets nobody in', async () => {
    const client = await clientOf({ issuer: provider.issuer });
    provider.failing = (request, response) => {
      if (request.url !== '/jwks') return false;
      response.writeHead(502).end();
      return true;
    };
    await assert.rejects(signIn(client), { code: 'sign_in_unavailable' });
    for (const body of ['none', { keys: 'none' }, {}]) {
      provider.failing = (request, response) => request.url === '/jwks' && answer(response, body);
      await failed(client);
    }
  });
});
