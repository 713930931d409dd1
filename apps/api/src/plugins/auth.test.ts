/** Access that every route requires; no route requires none. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createApiKey, revokeApiKey } from '@graft/service/keys';
import { type Scope, scopes } from '@graft/wire/lists';
import Fastify from 'fastify';
import type { Access } from '../access/access.ts';
import { buildApp } from '../app.ts';
import { loadApiSettings } from '../settings.ts';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../testing/open-api-bench.ts';
import { auth } from './auth.ts';

let bench: ApiBench;
let routes: { method: string; url: string; access: Access }[];
before(async () => {
  bench = await openApiBench();
  routes = await routesOf(bench);
});
after(async () => await bench?.close());

/** Every route under /v1, with a path to request. */
async function routesOf({ url }: ApiBench) {
  const document = (await (await fetch(`${url}/docs/json`)).json()) as {
    paths: Record<string, Record<string, { 'x-graft-access'?: Access }>>;
  };
  return Object.entries(document.paths)
    .filter(([path]) => path.startsWith('/v1/'))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        method: method.toUpperCase(),
        url: path.replaceAll(/\{\w+\}/g, '1'),
        access: operation['x-graft-access']!,
      })),
    );
}

/** The error code of the response, or null. Does not wait for streams, since some are endless. */
async function codeOf({ key }: Caller, { method, url }: (typeof routes)[number]): Promise<string | null> {
  const answer = await fetch(bench.url + url, { method, headers: { authorization: `Bearer ${key}` } });
  if (answer.headers.get('content-type')?.startsWith('application/json'))
    return ((await answer.json()) as { error?: { code: string } }).error?.code ?? null;
  await answer.body?.cancel();
  return null;
}

const refusals = new Set([
  'insufficient_role',
  'insufficient_scope',
  'operator_required',
  'team_key_required',
]);

test('every route under /v1 declares its access, and OpenAPI documents it', () => {
  assert.ok(routes.length > 40, `${routes.length} routes`);
  for (const { method, url, access } of routes) assert.ok(access, `${method} ${url}`);
});

test('a route that says too little is not registered', async () => {
  const app = Fastify();
  app.decorateReply('hold', () => {});
  await app.register(auth, loadApiSettings());
  const register = (access: unknown) =>
    app.get('/v1/open', { config: { access: access as Access } }, async () => 'open to all');
  assert.throws(() => app.get('/v1/open', async () => 'open to all'), /GET \/v1\/open needs config\.access/);
  assert.throws(
    () => register({ scope: 'jobs:read' }),
    /needs config\.access\.models: how the models are found/,
  );
  assert.throws(() => register({ scope: 'jobs:read', models: 'some' }), /needs config\.access\.models/);
  assert.throws(
    () => register({ scope: 'jobs:write', models: 'job' }),
    /needs config\.access\.answer: own, or/,
  );
  app.get('/v1/closed', { config: { access: 'operator' } }, async () => '');
});

test('every scope is some route’s, and docs/teams.md says what it is for', () => {
  const used = new Set(routes.flatMap(({ access }) => (typeof access === 'string' ? [] : [access.scope])));
  assert.deepEqual([...used].sort(), Object.keys(scopes).sort());
  const docs = readFileSync(join(import.meta.dirname, '../../../../docs/teams.md'), 'utf8');
  for (const [scope, meaning] of Object.entries(scopes))
    assert.ok(docs.includes(`| \`${scope}\` | ${meaning} |`), scope);
});

test('a key with one scope gets through to the routes of that scope, and no others', async () => {
  for (const scope of Object.keys(scopes) as Scope[]) {
    const caller = await bench.caller(bench.acme, 'admin', { scopes: [scope] });
    for (const route of routes) {
      // The rest of the test needs the team.
      if (route.method === 'DELETE' && route.url === '/v1/team') continue;
      const code = await codeOf(caller, route);
      const { access } = route;
      const label = `${scope}: ${route.method} ${route.url}: ${code}`;
      if (access === 'operator') assert.equal(code, 'operator_required', label);
      else if (typeof access === 'string' || access.scope === scope)
        assert.ok(code === null || !refusals.has(code), label);
      else assert.equal(code, 'insufficient_scope', label);
    }
  }
});

test('each role gets through to what its rank allows; the operator to nothing of a team', async () => {
  const viewer = await bench.caller(bench.acme, 'viewer');
  const member = await bench.caller(bench.acme, 'member');
  const operator = await bench.operator();
  for (const route of routes) {
    const { access, method } = route;
    const label = `${method} ${route.url}`;
    if (typeof access === 'string') {
      const expected = access === 'operator' ? 'operator_required' : null;
      for (const caller of [viewer, member]) {
        const code = await codeOf(caller, route);
        assert.equal(code !== null && refusals.has(code) ? code : null, expected, label);
      }
      const code = await codeOf(operator, route);
      assert.ok(code === null || !refusals.has(code), `${label}: ${code}`);
      continue;
    }
    assert.equal(await codeOf(operator, route), 'team_key_required', label);
    const least = access.role ?? (method === 'GET' ? 'viewer' : 'member');
    if (method === 'DELETE' && route.url === '/v1/team') continue;
    // Roles for this route are tested in routes/team/keys.test.ts.
    if (route.url === '/v1/team/keys' && method === 'POST') continue;
    const ranks = { viewer: [viewer, 0], member: [member, 1] } as const;
    const least_ = ['viewer', 'member', 'admin'].indexOf(least);
    for (const [role, [caller, rank]] of Object.entries(ranks)) {
      const code = await codeOf(caller, route);
      assert.equal(code === 'insufficient_role', rank < least_, `${role}: ${label}: ${code}`);
    }
  }
});

test('a refusal says what is missing and how to get it', async () => {
  const viewer = await bench.caller(bench.acme, 'viewer');
  const role = assertError(await viewer.send('DELETE', '/v1/files/x'), 403, 'insufficient_role');
  assert.match(role, /role viewer in team acme; this requires member.*graft team keys create --role member/);
  const limited = await bench.caller(bench.acme, 'member', { scopes: ['files:read'] });
  const answer = await limited.send('GET', '/v1/models');
  const scope = assertError(answer, 403, 'insufficient_scope');
  assert.match(scope, /has the scopes files:read; this requires models:read.*--scopes models:read/);
  assert.match(answer.headers.get('www-authenticate')!, /error="insufficient_scope", scope="models:read"/);
});

describe('models', () => {
  test('a limited key trains on, calls, deletes and downloads only its models, known or not', async () => {
    const limited = await bench.caller(bench.acme, 'member', { models: ['ft:tiny:acme:*'] });
    const training_file = await limited.upload(chatLine);
    const messages = [{ role: 'user', content: 'a' }];
    for (const model of ['tiny', 'none', 'ft:tiny:other:x']) {
      for (const [method, path, body] of [
        ['POST', '/v1/fine_tuning/jobs', { model, training_file }],
        ['POST', '/v1/chat/completions', { model, messages }],
        ['POST', '/v1/completions', { model, prompt: 'a' }],
        ['POST', '/v1/embeddings', { model, input: 'a' }],
        ['POST', '/v1/classify', { model, input: 'a' }],
        ['DELETE', `/v1/models/${model}`, undefined],
      ] as const) {
        const message = assertError(
          await limited.send(method, path, body),
          403,
          'model_not_allowed',
          'model',
        );
        assert.match(message, /limited to ft:tiny:acme:\*/);
      }
    }
    const mine = await limited.send('POST', '/v1/completions', { model: 'ft:tiny:acme:x', prompt: 'a' });
    assertError(mine, 404, 'model_not_found');
    const tiny = await bench.caller(bench.acme, 'member', { models: ['tiny'] });
    const job = await tiny.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
    assert.equal(job.status, 200, job.text);
  });
});

test('an open stream ends within a second when its key does, and only that', async () => {
  const { url, acme, services } = bench;
  const training_file = await acme.upload(chatLine);
  const { json: job } = await acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  const open = async () => {
    const { key, keyId } = await createApiKey(services, acme.teamId, { name: 'x', role: 'viewer' });
    const path = `${url}/v1/fine_tuning/jobs/${job.id}/events?stream=true`;
    const response = await fetch(path, { headers: { authorization: `Bearer ${key}` } });
    assert.equal(response.status, 200);
    const stream = { keyId, endedAt: null as number | null, ended: Promise.resolve() };
    stream.ended = response.text().then(() => {
      stream.endedAt = performance.now();
    });
    return stream;
  };
  const [revoked, living] = [await open(), await open()];
  const start = performance.now();
  await revokeApiKey(services, acme.teamId, revoked.keyId);
  await revoked.ended;
  assert.ok(revoked.endedAt! - start < 5_000, `${revoked.endedAt! - start} ms`);
  assert.equal(living.endedAt, null);
  await revokeApiKey(services, acme.teamId, living.keyId);
  await living.ended;
});

test('a revocation is effective on another process with its commit', async () => {
  const second = await buildApp(bench.services);
  try {
    const url = await second.listen({ host: '127.0.0.1', port: 0 });
    const { key, keyId } = await createApiKey(bench.services, bench.acme.teamId, {
      name: 'x',
      role: 'member',
    });
    const status = async () =>
      (await fetch(`${url}/v1/me`, { headers: { authorization: `Bearer ${key}` } })).status;
    assert.equal(await status(), 200);
    await revokeApiKey(bench.services, bench.acme.teamId, keyId);
    assert.equal(await status(), 401);
  } finally {
    await second.close();
  }
});
