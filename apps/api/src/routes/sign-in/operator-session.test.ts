/** Rights of an operator's session: for an hour after a sign-in, and not after a pause. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createOperatorKey } from '@graft/service/keys';
import { assertError } from '../../testing/assert-error.ts';
import { openBrowser } from '../../testing/oidc-provider.ts';
import { answerOf } from '../../testing/open-api-bench.ts';
import { type Browser, openSignInBench, type SignInBench } from '../../testing/open-sign-in-bench.ts';

let sign: SignInBench;
before(async () => {
  sign = await openSignInBench({
    allow_key_sessions: true,
    operator_groups: ['graft-operators'],
    teams: [
      { group: 'research', team: 'acme', role: 'member' },
      { group: 'research', team: 'other', role: 'viewer' },
    ],
  });
  sign.person('ada', ['graft-operators', 'research']);
});
beforeEach(() => Object.assign(sign.provider, { forge: null, failing: null }));
after(async () => await sign?.close());

const headers = { 'sec-fetch-site': 'same-origin', 'content-type': 'application/json' };
const send = async (browser: Browser, path: string, body?: object) =>
  await answerOf(
    await browser.request(
      sign.url + path,
      body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) },
    ),
  );
const operate = async (browser: Browser) => await send(browser, '/v1/admin/teams');
const again = 'reauthenticate=true&return_to=/operator/queue';

async function signIn(browser: Browser, query = again): Promise<string | null> {
  const back = await sign.comeBack(browser, await sign.goTo(browser, 'ada', query));
  assert.equal(back.status, 302, back.text);
  return back.location;
}

/** Moves the time in `column` back by `minutes`. */
async function age(browser: Browser, column: string, minutes: number): Promise<void> {
  const id = browser.jar(sign.url).get('graft_session')!.split('_').slice(1, 3).join('_');
  const { rowCount } = await sign.bench.services.sql.query(
    `UPDATE sessions SET ${column} = now() - make_interval(mins => $2) WHERE id = $1`,
    [id, minutes],
  );
  assert.equal(rowCount, 1);
}

test('operator routes need a recent sign-in of the person; routes of teams do not', async () => {
  const browser = openBrowser();
  await signIn(browser, 'team=other');
  // The time of the sign-in at the provider is unknown: it may have been days ago.
  const refused = await operate(browser);
  assertError(refused, 403, 'reauthentication_required');
  assert.match(refused.json.error.message, /\/v1\/sign-in\?reauthenticate=true/);
  assert.match(
    refused.headers.get('www-authenticate')!,
    /error="insufficient_user_authentication", max_age="3600"/,
  );
  const me = (await send(browser, '/v1/me')).json;
  assert.deepEqual([me.is_operator, me.team.name], [true, 'other']);

  assert.equal(await signIn(browser), '/operator/queue');
  assert.equal((await operate(browser)).status, 200);
  assert.equal((await send(browser, '/v1/me')).json.team.name, 'other', 'the team is the same');

  await age(browser, 'authenticated_at', 61);
  assertError(await operate(browser), 403, 'reauthentication_required');
  assert.equal((await send(browser, '/v1/files')).status, 200);
  await signIn(browser);
  assert.equal((await operate(browser)).status, 200);
});

test('after a pause of operating they sign in again, whatever else they did meanwhile', async () => {
  const browser = openBrowser();
  await signIn(browser);
  await age(browser, 'created_at', 30);
  assertError(await operate(browser), 403, 'reauthentication_required');
  await age(browser, 'operator_used_at', 10);
  for (const _ of [1, 2]) assert.equal((await operate(browser)).status, 200);
  await age(browser, 'operator_used_at', 16);
  assert.equal((await send(browser, '/v1/files')).status, 200);
  // A refused request does not count as use.
  for (const _ of [1, 2]) assertError(await operate(browser), 403, 'reauthentication_required');
});

test('the provider must authenticate again, and report when', async () => {
  const browser = openBrowser();
  const start = await browser.request(`${sign.url}/v1/sign-in?${again}`);
  const { searchParams } = new URL(start.headers.get('location')!);
  assert.deepEqual([searchParams.get('max_age'), searchParams.get('prompt')], ['0', 'login']);
  const now = Math.floor(Date.now() / 1000);
  for (const auth_time of [undefined, 'now', now - 120, now - 86_400]) {
    const address = await sign.goTo(browser, 'ada', again);
    sign.provider.forge = (claims) => ({ ...claims, auth_time });
    assertError(await sign.comeBack(browser, address), 400, 'sign_in_failed');
  }
  // A provider's clock that is ahead does not extend the time.
  const address = await sign.goTo(browser, 'ada', again);
  sign.provider.forge = (claims) => ({ ...claims, auth_time: now + 86_400 });
  assert.equal((await sign.comeBack(browser, address)).status, 302);
  const [row] = (
    await sign.bench.services.sql.query(
      'SELECT authenticated_at <= now() AS past FROM sessions ORDER BY created_at DESC LIMIT 1',
    )
  ).rows;
  assert.equal(row.past, true);
});

test('a key of the operator is a session of an hour, which ends with a pause', async () => {
  const { key } = await createOperatorKey(sign.bench.services, { name: 'browser' });
  const browser = openBrowser();
  const begin = async () => await send(browser, '/v1/sign-in/key', { key });
  const made = await begin();
  assert.ok(made.json.expires_at - made.json.created_at <= 3601);
  assert.equal((await operate(browser)).status, 200);
  await age(browser, 'last_used_at', 16);
  assertError(await operate(browser), 401, 'invalid_session');
  await begin();
  // A session of the previous version, which lasted a week.
  await age(browser, 'created_at', 61);
  assertError(await operate(browser), 401, 'invalid_session');
  // A session of a team's key lasts longer.
  await send(browser, '/v1/sign-in/key', { key: sign.bench.acme.key });
  await age(browser, 'last_used_at', 16);
  assert.equal((await send(browser, '/v1/files')).status, 200);
});
