import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Services } from '@graft/service/services';
import { type ApiSettings, loadApiSettings } from '../settings.ts';
import { type openBrowser, openTestProvider, type TestProvider, testClient } from './oidc-provider.ts';
import { type ApiBench, answerOf, openApiBench } from './open-api-bench.ts';

export type Browser = ReturnType<typeof openBrowser>;

export interface SignInBench {
  bench: ApiBench;
  provider: TestProvider;
  url: string;
  /** URL to which the provider returns people. */
  callback: string;
  /** Adds a person in these groups to the provider, and returns their subject. */
  person(sub: string, groups: unknown, more?: object): string;
  /** Signs in at the provider as `sub`. Returns the address to which the provider redirects, without opening it. */
  goTo(browser: Browser, sub: string, query?: string, headers?: Record<string, string>): Promise<string>;
  comeBack(
    browser: Browser,
    address: string,
    headers?: Record<string, string>,
  ): Promise<Awaited<ReturnType<typeof answerOf>> & { location: string | null }>;
  close(): Promise<void>;
}

/** Starts an API at which people sign in with a real provider, which must know the API's address beforehand. */
export async function openSignInBench(
  file: object,
  {
    env = {},
    log,
    ...overrides
  }: Partial<ApiSettings> & { env?: Record<string, string>; log?: Services['log'] } = {},
): Promise<SignInBench> {
  const placeholder = createServer();
  await new Promise<void>((resolve) => placeholder.listen(0, '127.0.0.1', resolve));
  const { port } = placeholder.address() as { port: number };
  await new Promise((resolve) => placeholder.close(resolve));
  const url = `http://127.0.0.1:${port}`;
  const callback = `${url}/v1/sign-in/callback`;
  const provider = await openTestProvider(callback);
  const folder = await mkdtemp(join(tmpdir(), 'graft-oidc-'));
  const config = join(folder, 'oidc.json');
  const client = { issuer: provider.issuer, client_id: testClient.id };
  const scopes = ['openid', 'email', 'profile', 'groups'];
  await writeFile(config, JSON.stringify({ ...client, scopes, ...file }));
  const { signIn } = loadApiSettings({
    GRAFT_PUBLIC_URL: url,
    GRAFT_OIDC_CONFIG: config,
    GRAFT_OIDC_CLIENT_SECRET: testClient.secret,
    ...env,
  });
  signIn.oidc!.timeoutMs = 8_000;
  const bench = await openApiBench({ signIn, ...overrides }, {}, port, log);

  return {
    bench,
    provider,
    url,
    callback,
    person: (sub, groups, more = {}) => {
      const claims = { email: `${sub}@example.com`, email_verified: true, name: sub, groups, ...more };
      provider.people.set(sub, claims);
      return sub;
    },
    goTo: async (browser, sub, query = '', headers = {}) => {
      const start = await browser.request(`${url}/v1/sign-in?${query}`, { headers });
      if (start.status !== 302) throw new Error(await start.text());
      const at = new URL(start.headers.get('location')!);
      at.searchParams.set('login_hint', sub);
      return await browser.follow(at.href, callback);
    },
    comeBack: async (browser, address, headers = {}) => {
      const response = await browser.request(address, { headers });
      return { ...(await answerOf(response)), location: response.headers.get('location') };
    },
    close: async () => {
      await bench.close();
      await provider.close();
      await rm(folder, { recursive: true });
    },
  };
}
