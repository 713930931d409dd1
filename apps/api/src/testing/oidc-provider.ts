import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Provider } from 'oidc-provider';

export interface TestProvider {
  issuer: string;
  /** Claims of people, by subject. */
  people: Map<string, Record<string, unknown>>;
  /** Subject of a person who arrives without a `login_hint`. */
  visitor: string;
  /** Changes the claims of ID tokens, to imitate a faulty or malicious provider. */
  forge: ((claims: Record<string, unknown>) => Record<string, unknown>) | null;
  /** Signs ID tokens with those claims, by default with the provider's own key. */
  sign: (claims: Record<string, unknown>) => Promise<string> | string;
  /** Signs `claims` with the provider's own key. */
  signAsItself(claims: Record<string, unknown>): Promise<string>;
  /** Handles a request in place of the provider if it returns true. */
  failing: ((request: IncomingMessage, response: ServerResponse) => boolean) | null;
  close(): Promise<void>;
}

/** Graft's client at the provider. */
export const testClient = { id: 'graft', secret: 'a secret of the test, long enough' };

/**
 * Starts a real provider over HTTP: oidc-provider, with a sign-in that accepts anyone that a `login_hint` names, behind a server that can
 * fail and can replace ID tokens by others.
 */
export async function openTestProvider(redirectUri: string): Promise<TestProvider> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const key = { ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'test' };
  const server = createServer();
  // A connection that closes just as a browser reuses it fails a request: on a busy machine seconds pass between two requests.
  server.keepAliveTimeout = 300_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const people: TestProvider['people'] = new Map();

  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: testClient.id,
        client_secret: testClient.secret,
        redirect_uris: [redirectUri],
        post_logout_redirect_uris: [new URL('/', redirectUri).href],
        backchannel_logout_uri: new URL('/v1/sign-in/backchannel-logout', redirectUri).href,
        backchannel_logout_session_required: true,
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ['of the test'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    scopes: ['openid', 'email', 'profile', 'groups'],
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: true },
      backchannelLogout: { enabled: true },
    },
    findAccount: (_context, sub) => ({ accountId: sub, claims: async () => ({ sub, ...people.get(sub) }) }),
    // The provider's default refuses local addresses, and times out on a busy machine.
    fetch: async (url, options) => {
      const { method, headers, body } = options ?? {};
      const init = { ...(method && { method }), ...(headers && { headers }), ...(body && { body }) };
      return await fetch(url, { ...init, redirect: 'manual' });
    },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
  });
  const answer = provider.callback();

  const signAsItself = (claims: Record<string, unknown>) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'test' }).sign(privateKey);
  const opened: TestProvider = {
    issuer,
    people,
    visitor: 'nobody',
    forge: null,
    failing: null,
    signAsItself,
    sign: signAsItself,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  /** Signs in the person named by `login_hint`, and grants everything. */
  async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
    if (prompt.name === 'login') {
      const accountId = String(params.login_hint ?? opened.visitor);
      await provider.interactionFinished(request, response, { login: { accountId } });
      return;
    }
    const grant =
      (grantId && (await provider.Grant.find(grantId))) ||
      new provider.Grant({ accountId: session!.accountId, clientId: testClient.id });
    grant.addOIDCScope('openid email profile groups');
    const consent = { grantId: await grant.save() };
    await provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
  }

  /** Replaces the ID token in the response of the token endpoint. */
  function forging(response: ServerResponse): void {
    const end = response.end.bind(response) as (chunk: unknown) => ServerResponse;
    response.end = ((chunk: Buffer | string) => {
      const body = JSON.parse(String(chunk)) as { id_token: string };
      const [, payload] = body.id_token.split('.');
      const claims = opened.forge!(JSON.parse(Buffer.from(payload!, 'base64url').toString()));
      void Promise.resolve(opened.sign(claims)).then((id_token) => {
        const forged = JSON.stringify({ ...body, id_token });
        response.setHeader('content-length', Buffer.byteLength(forged));
        end(forged);
      });
      return response;
    }) as typeof response.end;
  }

  server.on('request', (request, response) => {
    if (opened.failing?.(request, response)) return;
    if (request.url!.startsWith('/interaction/')) {
      interact(request, response).catch((error) => response.writeHead(500).end(String(error)));
      return;
    }
    if (request.url === '/token' && opened.forge) forging(response);
    void answer(request, response);
  });
  return opened;
}

/** A minimal browser for signing in: it stores cookies by host and follows redirects on request. */
export function openBrowser() {
  const jars = new Map<string, Map<string, string>>();
  async function request(url: string, init: RequestInit = {}): Promise<Response> {
    const { host } = new URL(url);
    const jar = jars.get(host) ?? jars.set(host, new Map()).get(host)!;
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...(cookie ? { cookie } : {}), ...(init.headers as Record<string, string>) };
    const response = await fetch(url, { ...init, redirect: 'manual', headers });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(line)) jar.delete(name!);
      else jar.set(name!, value!);
    }
    return response;
  }
  return {
    request,
    jar: (url: string) => jars.get(new URL(url).host) ?? new Map<string, string>(),
    /** Follows redirects up to the first address that starts with `until`, which is returned without being requested. */
    async follow(url: string, until: string): Promise<string> {
      for (let at = url, hops = 0; hops < 12; hops++) {
        const response = await request(at);
        const location = response.headers.get('location');
        if (!location) throw new Error(`${at}: ${response.status} ${await response.text()}`);
        at = new URL(location, at).href;
        if (at.startsWith(until)) return at;
      }
      throw new Error('too many redirects');
    },
  };
}
