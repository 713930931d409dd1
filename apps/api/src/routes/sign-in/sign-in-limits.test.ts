/** Limits on sign-in requests of strangers, and the log of failed sign-ins. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@graft/service/logger';
import { instruments } from '@graft/service/observe';
import { updatePerson } from '@graft/service/people';
import { assertError } from '../../testing/assert-error.ts';
import { openBrowser } from '../../testing/oidc-provider.ts';
import { answerOf } from '../../testing/open-api-bench.ts';
import { type Browser, openSignInBench, type SignInBench } from '../../testing/open-sign-in-bench.ts';

const maxSignIns = 60;
let sign: SignInBench;
const lines: Record<string, unknown>[] = [];
before(async () => {
  const collect = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  sign = await openSignInBench(
    { allow_key_sessions: true },
    {
      trustProxy: ['127.0.0.1'],
      rateLimits: { perKey: 0, perAddress: 0, wrongKeysPerAddress: 0, signInsPerAddress: maxSignIns },
      log: createLogger({ level: 'info', name: 'test' }, collect),
    },
  );
});
beforeEach(() => {
  lines.length = 0;
  sign.provider.failing = null;
  sign.provider.forge = null;
});
after(async () => await sign?.close());

let addresses = 0;
/** A proxy's header with a separate client address. */
const from = (address = `203.0.113.${++addresses}`) => ({ 'x-forwarded-for': address });

/** The callback of a sign-in that `browser` has started, with a made-up code. */
async function bogus(browser: Browser, headers: Record<string, string>): Promise<string> {
  const start = await browser.request(`${sign.url}/v1/sign-in`, { headers });
  assert.equal(start.status, 302);
  const { searchParams } = new URL(start.headers.get('location')!);
  const back = { state: searchParams.get('state')!, code: 'bogus', iss: sign.provider.issuer };
  return `${sign.callback}?${new URLSearchParams(back)}`;
}

test('callbacks of sign-ins that nobody began never reach the provider', async () => {
  let asked = 0;
  sign.provider.failing = () => {
    asked++;
    return false;
  };
  const addresses = Array.from({ length: 80 }, (_, i) => `${sign.callback}?code=bogus&state=${i}`);
  const address = from();
  const answers = await Promise.all(addresses.map((each) => sign.comeBack(openBrowser(), each, address)));
  for (const each of answers) assertError(each, 400, 'sign_in_failed', 'state');
  assert.equal(asked, 0);
});

test('64 bogus callbacks of one address that wait for the provider block nobody else', async () => {
  const attacker = from();
  const browsers = await Promise.all(
    Array.from({ length: maxSignIns / 2 }, async () => {
      const browser = openBrowser();
      return { browser, address: await bogus(browser, attacker) };
    }),
  );
  const held: ServerResponse[] = [];
  sign.provider.failing = (request, response) => {
    if (request.url !== '/token') return false;
    held.push(response);
    return true;
  };
  // Uses each cookie several times, as an attacker could.
  const attacks = Array.from({ length: 64 }, (_, i) => {
    const { browser, address } = browsers[i % browsers.length]!;
    const cookie = [...browser.jar(sign.url)].map((pair) => pair.join('=')).join('; ');
    return fetch(address, { headers: { ...attacker, cookie }, redirect: 'manual' });
  });
  while (held.length < 8) await sleep(20);
  const victim = openBrowser();
  const own = from();
  const address = await sign.goTo(victim, sign.person('ada', []), '', own);
  sign.provider.failing = null;
  assert.equal((await sign.comeBack(victim, address, own)).status, 302);
  assert.ok(held.length <= 8, `${held.length} requests of one address reached the provider`);
  for (const response of held) response.writeHead(400, { 'content-type': 'application/json' }).end('{}');
  const answers = await Promise.all(attacks.map(async (each) => await answerOf(await each)));
  for (const { status, json } of answers) {
    assert.ok(
      (status === 400 && json.error.code === 'sign_in_failed') ||
        (status === 429 && /^(too_many_requests|rate_limit_exceeded)$/.test(json.error.code)),
    );
  }
  assert.ok(answers.some(({ status }) => status === 429));
});

test('sign-ins started and ended by an address per minute are limited', async () => {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 10_000) await sleep(left + 50);
  const one = from();
  const begin = async (headers: Record<string, string>) =>
    await answerOf(await fetch(`${sign.url}/v1/sign-in`, { headers, redirect: 'manual' }));
  for (let i = 0; i < maxSignIns - 1; i++) assert.equal((await begin(one)).status, 302);
  const browser = openBrowser();
  const address = await bogus(browser, one);
  const refused = await sign.comeBack(browser, address, one);
  assertError(refused, 429, 'rate_limit_exceeded');
  assert.match(refused.headers.get('retry-after')!, /^\d+$/);
  assertError(await begin(one), 429, 'rate_limit_exceeded');
  assert.equal((await begin(from())).status, 302);
});

test('who fails to sign in is logged with reason, address and person, and no secret', async () => {
  const { goTo, comeBack, person, bench, provider } = sign;
  const failures = () => lines.filter(({ msg }) => msg === 'sign-in failed');
  const secrets: string[] = [];
  const tryToSignIn = async (sub: string, headers: Record<string, string>) => {
    const browser = openBrowser();
    const address = await goTo(browser, sub, '', headers);
    const { searchParams } = new URL(address);
    secrets.push(searchParams.get('code')!, searchParams.get('state')!);
    secrets.push(browser.jar(sign.url).get('graft_sign_in')!);
    return await comeBack(browser, address, headers);
  };
  const address = '198.51.100.7';
  const at = from(address);
  assert.equal((await tryToSignIn(person('eve', []), at)).status, 302);
  assert.equal(failures().length, 0);
  const { id } = (await bench.services.db.person.findFirst({ where: { email: 'eve@example.com' } }))!;

  await updatePerson(bench.services, id, { isDisabled: true });
  assertError(await tryToSignIn('eve', at), 403, 'person_disabled');
  await updatePerson(bench.services, id, { isDisabled: false });
  assertError(
    await tryToSignIn(person('eve-2', [], { email: 'eve@example.com' }), at),
    403,
    'identity_conflict',
  );
  const unverified = person('eve-3', [], { email: 'eve@example.com', email_verified: false });
  assertError(await tryToSignIn(unverified, at), 403, 'email_not_verified');
  provider.forge = (claims) => {
    secrets.push(String(claims.nonce));
    return { ...claims, aud: 'another' };
  };
  assertError(await tryToSignIn('eve', at), 400, 'sign_in_failed');
  provider.forge = null;
  const browser = openBrowser();
  assertError(await comeBack(browser, await bogus(browser, at), at), 400, 'sign_in_failed');
  assertError(await comeBack(openBrowser(), `${sign.callback}?state=x&code=y`, at), 400, 'sign_in_failed');
  const denied = openBrowser();
  const back = new URL(await bogus(denied, at));
  back.searchParams.delete('code');
  back.searchParams.set('error', 'access_denied');
  assertError(await comeBack(denied, back.href, at), 403, 'sign_in_denied');
  const key = `${bench.acme.key.slice(0, -4)}xxxx`;
  secrets.push(key);
  const byKey = await fetch(`${sign.url}/v1/sign-in/key`, {
    method: 'POST',
    headers: { ...at, 'content-type': 'application/json', 'sec-fetch-site': 'same-origin' },
    body: JSON.stringify({ key }),
  });
  assertError(await answerOf(byKey), 401, 'invalid_api_key');

  const issuer = provider.issuer;
  const found = failures().map(({ reason, code, address, personId, issuer, subject, keyId }) => ({
    reason,
    code,
    address,
    personId,
    issuer,
    subject,
    keyId,
  }));
  const nobody = {
    code: undefined,
    personId: undefined,
    issuer: undefined,
    subject: undefined,
    keyId: undefined,
  };
  const known = { ...nobody, address, issuer };
  assert.deepEqual(found, [
    { ...known, reason: 'person_disabled', personId: id, subject: 'eve' },
    { ...known, reason: 'identity_conflict', personId: id, subject: 'eve-2' },
    { ...known, reason: 'email_not_verified', subject: 'eve-3' },
    { ...nobody, address, reason: 'sign_in_failed', code: 'OAUTH_JWT_CLAIM_COMPARISON_FAILED aud' },
    { ...nobody, address, reason: 'sign_in_failed', code: 'OAUTH_RESPONSE_BODY_ERROR invalid_grant' },
    { ...nobody, address, reason: 'sign_in_failed', code: 'state' },
    { ...nobody, address, reason: 'sign_in_denied', code: 'access_denied' },
    { ...nobody, address, reason: 'invalid_api_key', keyId: key.split('_')[1] },
  ]);
  const log = JSON.stringify(lines);
  for (const secret of secrets) assert.ok(!log.includes(secret), `the log has ${secret}`);
  const { values } = await instruments.signInFailures.get();
  assert.equal(values.find(({ labels }) => labels.reason === 'person_disabled')?.value, 1);
});
