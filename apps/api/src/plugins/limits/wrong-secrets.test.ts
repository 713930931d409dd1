/** Wrong secrets in a body or a cookie count against the same limit as wrong keys in a header. */
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInvitation } from '@graft/service/people';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, answerOf, openApiBench } from '../../testing/open-api-bench.ts';

const most = 5;
let bench: ApiBench | undefined;
beforeEach(async () => {
  await bench?.close();
  // Waits for the next minute if the current one might end before the test does.
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 15_000) await sleep(left + 50);
  bench = await openApiBench(
    { rateLimits: { perKey: 0, perAddress: 0, wrongKeysPerAddress: most, signInsPerAddress: 0 } },
    { REDIS_URL: '' },
  );
});
after(async () => await bench?.close());

const secret = 'b'.repeat(32);
const post = async (path: string, body: object, headers: Record<string, string> = {}) =>
  await answerOf(
    await fetch(bench!.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', ...headers },
      body: JSON.stringify(body),
    }),
  );
const wrongId = (i: number) => String(i).padStart(12, 'a');
const signIn = async (key: string) => await post('/v1/sign-in/key', { key });

test('wrong keys at /v1/sign-in/key', async () => {
  assert.equal((await signIn(bench!.acme.key)).status, 200);
  for (let i = 0; i < most; i++)
    assertError(await signIn(`graft_${wrongId(i)}_${secret}`), 401, 'invalid_api_key');
  const refused = await signIn(`graft_${wrongId(9)}_${secret}`);
  assertError(refused, 429, 'rate_limit_exceeded');
  assert.match(refused.headers.get('retry-after')!, /^\d+$/);
  assert.equal((await signIn(bench!.acme.key)).status, 200, 'one that was right before');
  assertError(await signIn(bench!.other.key), 429, 'rate_limit_exceeded');
});

test('wrong tokens at /v1/invitations/accept, which count with wrong keys elsewhere', async () => {
  const { token } = await createInvitation(
    bench!.services,
    bench!.acme.teamId,
    { email: 'a@example.com', role: 'member' },
    null,
  );
  const accept = async (given: string) => await post('/v1/invitations/accept', { token: given, name: 'A' });
  for (let i = 0; i < most - 1; i++)
    assertError(await accept(`invite_${wrongId(i)}_${secret}`), 400, 'invalid_invitation', 'token');
  // An error elsewhere in the request is no wrong secret.
  const noEmail = await createInvitation(
    bench!.services,
    bench!.acme.teamId,
    { email: null, role: 'member' },
    null,
  );
  assert.equal((await accept(noEmail.token)).status, 400);
  assert.equal((await accept(token)).status, 200);
  assertError(await signIn(`graft_${wrongId(8)}_${secret}`), 401, 'invalid_api_key');
  assertError(await accept(`invite_${wrongId(9)}_${secret}`), 429, 'rate_limit_exceeded');
  assertError(await signIn(`graft_${wrongId(9)}_${secret}`), 429, 'rate_limit_exceeded');
});

test('wrong cookies where nobody need be signed in', async () => {
  const options = async (token: string) =>
    await answerOf(
      await fetch(`${bench!.url}/v1/sign-in/options`, { headers: { cookie: `graft_session=${token}` } }),
    );
  for (let i = 0; i < most; i++)
    assert.equal((await options(`session_${wrongId(i)}_${secret}`)).json.signed_in, false);
  assertError(await options(`session_${wrongId(9)}_${secret}`), 429, 'rate_limit_exceeded');
  const signOut = await post('/v1/sign-out', {}, { cookie: `graft_session=session_${wrongId(9)}_${secret}` });
  assertError(signOut, 429, 'rate_limit_exceeded');
});
