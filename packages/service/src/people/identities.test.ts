import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Services } from '../services.ts';
import { signInPerson, type VerifiedClaims } from '../sessions/sign-in-person.ts';
import { verifySession } from '../sessions/verify-session.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { listIdentities, unlinkIdentity } from './identities.ts';
import { findPerson } from './person-records.ts';

let services: Services;
before(async () => {
  services = await openTestServices({ role: 'admin' });
});
after(async () => await services?.close());

const limits = { seconds: 600, idleSeconds: 600, keyLapseDays: 0 };
let flows = 0;

/** Signs in at the provider of this name, and returns the session's token. */
async function signIn(name: string, provider: string): Promise<string> {
  const claims: VerifiedClaims = {
    issuer: `https://${provider}.example`,
    subject: `${name} at ${provider}`,
    email: `${name}@example.com`,
    name,
    groups: [],
  };
  const options = { ...limits, flowId: `flow-${flows++}`, team: null, userAgent: undefined };
  return (await signInPerson(services, claims, { teams: [], operatorGroups: [] }, options)).token;
}

const isLetIn = async (token: string) => (await verifySession(services, token, limits, null)) !== null;
const personOf = async (name: string) => (await findPerson(services, `${name}@example.com`))!;
const anywhere = () => true;

test('unlinking ends the sessions of that identity, those that name none, and no others', async () => {
  const [old, kept, untold] = [await signIn('ada', 'a'), await signIn('ada', 'b'), await signIn('ada', 'b')];
  const bystander = await signIn('bea', 'a');
  await services.sql.query('UPDATE sessions SET identity_id = NULL WHERE id = $1', [
    untold.split('_').slice(1, 3).join('_'),
  ]);
  const ada = await personOf('ada');
  const [first, second] = await listIdentities(services, ada.id);
  assert.match(first!.id, /^ident-[0-9A-Za-z]{24}$/);
  assert.deepEqual([first!.issuer, second!.issuer], ['https://a.example', 'https://b.example']);
  assert.equal(await unlinkIdentity(services, ada.id, first!.id, anywhere, { keyId: 'key-test' }), true);
  assert.deepEqual(await Promise.all([old, untold, kept, bystander].map(isLetIn)), [
    ...[false, false],
    ...[true, true],
  ]);
  assert.equal(await unlinkIdentity(services, ada.id, first!.id, anywhere, null), false);
  const [entry] = await services.db.auditEntry.findMany({
    where: { action: 'person.unlink', target: ada.id },
  });
  assert.deepEqual(entry!.detail, { identity: first!.id, issuer: 'https://a.example', sessions: 2 });
});

test('another person’s identity is as one that is not there', async () => {
  await signIn('cy', 'a');
  const [theirs] = await listIdentities(services, (await personOf('bea')).id);
  assert.equal(await unlinkIdentity(services, (await personOf('cy')).id, theirs!.id, null, null), false);
  assert.equal((await listIdentities(services, (await personOf('bea')).id)).length, 1);
});

test('of two that a person unlinks at once, each the last for the other, one stays', async () => {
  for (let round = 0; round < 5; round++) {
    await signIn('dan', 'a');
    await signIn('dan', 'b');
    const { id } = await personOf('dan');
    const identities = await listIdentities(services, id);
    assert.equal(identities.length, 2);
    const done = await Promise.allSettled(
      identities.map((identity) =>
        unlinkIdentity(services, id, identity.id, anywhere, { keyId: 'key-test' }),
      ),
    );
    assert.deepEqual(done.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    for (const one of done) if (one.status === 'rejected') assert.equal(one.reason.code, 'last_identity');
    assert.equal((await listIdentities(services, id)).length, 1);
  }
});

test('no session is left of a person who signs in while they are unlinked', async () => {
  await signIn('eve', 'a');
  const { id } = await personOf('eve');
  for (let round = 0; round < 10; round++) {
    const [identity] = await listIdentities(services, id);
    const [signed] = await Promise.allSettled([
      signIn('eve', 'a'),
      unlinkIdentity(services, id, identity!.id, null, null),
    ]);
    if (signed!.status === 'rejected') assert.equal(signed!.reason.code, 'sign_in_failed');
    const { rows } = await services.sql.query(
      `SELECT 1 FROM sessions s WHERE person_id = $1 AND ended_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM person_identities i WHERE i.id = s.identity_id)`,
      [id],
    );
    assert.equal(rows.length, 0, `round ${round}`);
    await signIn('eve', 'a');
  }
});
