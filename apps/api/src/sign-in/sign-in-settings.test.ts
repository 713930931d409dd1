import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SecretRing } from '@graft/service/secrets';
import { settingReader } from '@graft/service/settings';
import { flowSeal, parseReturnTo } from './flow-cookie.ts';
import { loadSignInSettings } from './sign-in-settings.ts';

const loadFrom = (env: NodeJS.ProcessEnv) => loadSignInSettings(settingReader(env));

const seconds = {
  GRAFT_SESSION_SECONDS: '100',
  GRAFT_SESSION_IDLE_SECONDS: '10',
  GRAFT_OPERATOR_SESSION_SECONDS: '50',
  GRAFT_OPERATOR_SESSION_IDLE_SECONDS: '5',
};
const publicUrl = { GRAFT_PUBLIC_URL: 'https://graft.example.com' };

test('the file of a provider is parsed whole, or refused with what is wrong in it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'graft-oidc-file-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'oidc.json');
  const load = (content: unknown, env = publicUrl) => {
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return loadFrom({ ...seconds, ...env, GRAFT_OIDC_CONFIG: file, GRAFT_OIDC_CLIENT_SECRET: 's3cret' });
  };
  const least = { issuer: 'https://login.example.com', client_id: 'graft' };
  const { oidc, limits } = load({ ...least, scopes: ['openid', 'groups'] });
  assert.deepEqual(limits, {
    seconds: 100,
    idleSeconds: 10,
    operator: { seconds: 50, idleSeconds: 5 },
    keyLapseDays: 30,
  });
  assert.deepEqual(
    [oidc!.scopes, oidc!.groupsClaim, oidc!.assumeEmailVerified, oidc!.allowKeySessions, oidc!.clientSecret],
    [['openid', 'groups'], 'groups', false, false, 's3cret'],
  );
  const refused: [unknown, RegExp][] = [
    ['{', /cannot be read/],
    [{ issuer: 'https://x.de' }, /client_id/],
    [{ ...least, issuer: 'http://login.example.com' }, /https/],
    [{ ...least, teams: [{ group: 'a', team: 'b', role: 'owner' }] }, /teams\/0\/role/],
    [{ ...least, client_secret: 'x' }, /additional/],
  ];
  for (const [content, message] of refused) {
    assert.throws(
      () => load(content),
      (error: Error) => message.test(error.message) && !/s3cret/.test(error.message),
    );
  }
  assert.throws(() => loadFrom({ ...seconds, GRAFT_OIDC_CONFIG: file }), /needs GRAFT_PUBLIC_URL/);
  for (const url of ['graft.example.com', 'https://graft.example.com/v1', 'ftp://x.de', 'https://a:b@x.de']) {
    assert.throws(() => loadFrom({ ...seconds, GRAFT_PUBLIC_URL: url }), /GRAFT_PUBLIC_URL must be/);
  }
  assert.equal(loadFrom(seconds).oidc, null);
});

test('what a flow cookie holds is read by its own pepper alone, whole, and for ten minutes', () => {
  const flow = {
    state: 's',
    nonce: 'n',
    codeVerifier: 'v',
    returnTo: '/',
    team: null,
    reauthenticate: false,
    endsAt: Date.now() + 60_000,
  };
  const [older, newer] = ['a pepper of the test', 'another pepper'].map((secret, i) => ({
    version: i + 1,
    secret,
  }));
  const { seal, open } = flowSeal(new SecretRing('pepper', [older!]));
  const sealed = seal(flow);
  assert.deepEqual(open(sealed), flow);
  assert.ok(!Buffer.from(sealed, 'base64url').toString('latin1').includes('nonce'));
  assert.equal(flowSeal(new SecretRing('pepper', [newer!])).open(sealed), null);
  assert.deepEqual(flowSeal(new SecretRing('pepper', [newer!, older!])).open(sealed), flow);
  assert.equal(open(seal({ ...flow, endsAt: Date.now() - 1 })), null);
  for (let i = 0; i < sealed.length; i += 7) {
    const changed = `${sealed.slice(0, i)}${sealed[i] === 'A' ? 'B' : 'A'}${sealed.slice(i + 1)}`;
    assert.equal(open(changed), null, `${i}`);
  }
  for (const text of ['', 'x', 'A'.repeat(100)]) assert.equal(open(text), null);
});

test('one is sent on to paths of this server alone', () => {
  const origin = 'https://graft.example.com';
  for (const path of ['/', '/v1/team', '/a?b=c&d=//e#f', '/a//b'])
    assert.equal(parseReturnTo(path, origin), path);
  for (const path of [
    '',
    'a',
    '//evil.example',
    '/\\evil.example',
    '\\/evil',
    'https://evil.example',
    '/a b',
    '/a\nb',
    '/é',
    ' /a',
    '/a\\b',
    `/${'a'.repeat(2000)}`,
    undefined,
  ]) {
    assert.equal(parseReturnTo(path, origin), '/v1/me', path);
  }
});
