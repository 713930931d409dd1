import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftClient } from '../graft-client.ts';
import { localServer, sendError, sendJson } from '../testing/local-server.ts';

test('each method asks its route', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) => {
    sendJson(response, 200, { object: 'list', data: [], has_more: false });
  });
  const { webhooks } = new GraftClient({ baseUrl, apiKey: 'k' });
  await webhooks.create({ url: 'https://example.com/', events: ['fine_tuning.job.failed'] });
  await webhooks.list({ limit: 5 }).toArray();
  await webhooks.retrieve('whep-1/2');
  await webhooks.update('whep-1', { enabled: true });
  await webhooks.rotateSecret('whep-1', { overlap_seconds: 0 });
  await webhooks.test('whep-1');
  await webhooks.deliveries.list('whep-1', { status: 'failed' }).toArray();
  await webhooks.deliveries.resend('whep-1', 'whdl-1');
  await webhooks.delete('whep-1');
  assert.deepEqual(
    requests.map(({ method, url }) => `${method} ${url}`),
    [
      'POST /v1/webhooks',
      'GET /v1/webhooks?limit=5',
      'GET /v1/webhooks/whep-1%2F2',
      'POST /v1/webhooks/whep-1',
      'POST /v1/webhooks/whep-1/rotate_secret',
      'POST /v1/webhooks/whep-1/test',
      'GET /v1/webhooks/whep-1/deliveries?status=failed',
      'POST /v1/webhooks/whep-1/deliveries/whdl-1/resend',
      'DELETE /v1/webhooks/whep-1',
    ],
  );
});

test('what makes a secret is not tried again: the first may have been made', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) => {
    sendError(response, 503, 'service_unavailable');
  });
  const { webhooks } = new GraftClient({ baseUrl, apiKey: 'k' });
  await assert.rejects(webhooks.create({ url: 'https://example.com/' }), { code: 'service_unavailable' });
  await assert.rejects(webhooks.rotateSecret('whep-1'), { code: 'service_unavailable' });
  assert.equal(requests.length, 2);
});
