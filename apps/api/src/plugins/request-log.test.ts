import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '@graft/service/logger';
import Fastify, { LogController } from 'fastify';
import { newRequestId, requestLog } from './request-log.ts';

test('a request’s line names address, key, person and team, and nothing else of who asked or what for', async () => {
  const lines: string[] = [];
  const log = createLogger(
    { level: 'info', name: 'test' },
    { write: (line: string) => void lines.push(line) },
  );
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: newRequestId,
    trustProxy: '127.0.0.1',
  });
  await app.register(requestLog);
  app.decorateRequest('caller');
  app.decorateRequest('operator');
  app.get('/v1/things/:id', async (request) => {
    const who = { keyId: 'key-1', personId: 'person-1', email: 'ada@people.example', name: 'Ada' };
    Object.assign(request, { caller: { teamId: 'team-1', ...who } });
    return {};
  });
  await app.inject({
    url: '/v1/things/secret-id?q=secret-query',
    remoteAddress: '127.0.0.1',
    headers: {
      'x-forwarded-for': '203.0.113.7',
      authorization: 'Bearer secret-key',
      cookie: 'a=secret-cookie',
    },
  });
  await app.close();
  const [line, ...more] = lines.filter((text) => text.includes('"msg":"request"'));
  assert.equal(more.length, 0);
  const { address, teamId, keyId, personId, route } = JSON.parse(line!);
  assert.deepEqual(
    { address, teamId, keyId, personId, route },
    {
      address: '203.0.113.7',
      teamId: 'team-1',
      keyId: 'key-1',
      personId: 'person-1',
      route: '/v1/things/:id',
    },
  );
  assert.doesNotMatch(lines.join(''), /secret|ada@|Ada/);
});
