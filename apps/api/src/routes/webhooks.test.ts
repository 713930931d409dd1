import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../testing/open-api-bench.ts';

let bench: ApiBench;
let admin: Caller;
let foreign: Caller;
const received: { body: string; headers: Record<string, string> }[] = [];
let answer = 200;
const receiver = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  received.push({ body, headers: request.headers as Record<string, string> });
  response.writeHead(answer).end();
});
let url: string;

before(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/graft`;
  bench = await openApiBench(
    { webhooks: { pollMs: 20, firstSeconds: 0.05, longestSeconds: 0.05 } },
    { GRAFT_WEBHOOK_ALLOW: '127.0.0.1' },
  );
  admin = await bench.caller(bench.acme, 'admin');
  foreign = await bench.caller(bench.other, 'admin');
});
after(async () => {
  await bench?.close();
  receiver.close();
});

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !(await holds()); await sleep(20)) {
    assert.ok(performance.now() < end, `waited in vain: ${what}`);
  }
}

describe('webhooks', () => {
  test('create, get, list, change, rotate, delete', async () => {
    const made = await admin.send('POST', '/v1/webhooks', { url, description: 'CI' });
    assert.equal(made.status, 200, made.text);
    const { secret, ...endpoint } = made.json;
    assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.match(endpoint.id, /^whep-[0-9A-Za-z]{24}$/);
    assert.deepEqual(
      { ...endpoint, id: '', created_at: 0 },
      {
        id: '',
        object: 'webhook.endpoint',
        created_at: 0,
        url,
        description: 'CI',
        events: ['succeeded', 'failed', 'cancelled'].map((state) => `fine_tuning.job.${state}`),
        enabled: true,
        disabled_at: null,
        disabled_reason: null,
        created_by: endpoint.made_by_key,
        made_by_key: admin.key.split('_')[1],
        failing_since: null,
      },
    );
    const path = `/v1/webhooks/${endpoint.id}`;
    assert.deepEqual((await admin.send('GET', path)).json, endpoint);
    assert.deepEqual((await admin.send('GET', '/v1/webhooks')).json.data, [endpoint]);
    const changes = { events: ['fine_tuning.job.running'], enabled: false, description: null };
    const changed = await admin.send('POST', path, changes);
    assert.deepEqual(
      [changed.json.events, changed.json.enabled, changed.json.description, changed.json.disabled_reason],
      [changes.events, false, null, 'Disabled by the team.'],
    );
    assertError(await admin.send('POST', `${path}/test`), 400, 'webhook_disabled');
    const rotated = await admin.send('POST', `${path}/rotate_secret`, { overlap_seconds: 60 });
    assert.match(rotated.json.secret, /^whsec_/);
    assert.notEqual(rotated.json.secret, secret);
    const { rows } = await bench.services.sql.query(
      'SELECT action, key_id IS NOT NULL AS by_key, detail::text FROM audit_log WHERE target = $1 ORDER BY id',
      [endpoint.id],
    );
    assert.deepEqual(
      rows.map(({ action }) => action),
      ['webhook.create', 'webhook.update', 'webhook.rotate_secret'],
    );
    assert.ok(rows.every(({ by_key: byKey }) => byKey));
    assert.doesNotMatch(JSON.stringify(rows), /whsec_|\/graft/);
    assert.deepEqual((await admin.send('DELETE', path)).json, {
      id: endpoint.id,
      object: 'webhook.endpoint',
      deleted: true,
    });
    assertError(await admin.send('GET', path), 404, 'webhook_not_found', 'webhook_id');
  });

  test('a cancelled job arrives signed; a failed delivery is listed with its reason and resent', async () => {
    answer = 503;
    const made = await admin.send('POST', '/v1/webhooks', { url });
    const path = `/v1/webhooks/${made.json.id}`;
    const file = await admin.upload(`${chatLine}\n`);
    const job = await admin.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file: file });
    await admin.send('POST', `/v1/fine_tuning/jobs/${job.json.id}/cancel`);
    await until('two attempts', () => received.length >= 2);
    const pending = (await admin.send('GET', `${path}/deliveries?status=pending`)).json.data[0];
    assert.deepEqual(
      [pending.event_type, pending.data.id, pending.last_status, pending.last_error],
      ['fine_tuning.job.cancelled', job.json.id, 503, 'The receiver answered 503.'],
    );
    assert.ok((await admin.send('GET', path)).json.failing_since > 0);
    answer = 200;
    const delivered = async () =>
      (await admin.send('GET', `${path}/deliveries?status=delivered`)).json.data.length === 1;
    await until('it is delivered', delivered);
    const { body, headers } = received.at(-1)!;
    const event = new Webhook(made.json.secret).verify(body, headers) as { type: string };
    assert.equal(event.type, 'fine_tuning.job.cancelled');
    assert.equal((await admin.send('GET', path)).json.failing_since, null);

    const count = received.length;
    const resent = await admin.send('POST', `${path}/deliveries/${pending.id}/resend`);
    assert.deepEqual([resent.status, resent.json.status], [200, 'pending']);
    await until('it came again', () => received.length === count + 1);
    assert.equal(received.at(-1)!.headers['webhook-id'], pending.event_id);
    const tested = await admin.send('POST', `${path}/test`);
    await until('the test came', () => received.length === count + 2);
    assert.equal(received.at(-1)!.headers['webhook-id'], tested.json.event_id);
    assert.equal(JSON.parse(received.at(-1)!.body).type, 'webhook.test');
    const page = await admin.send('GET', `${path}/deliveries?limit=1`);
    assert.deepEqual([page.json.data[0].event_type, page.json.has_more], ['webhook.test', true]);
    const next = await admin.send('GET', `${path}/deliveries?limit=1&after=${page.json.last_id}`);
    assert.deepEqual([next.json.data[0].id, next.json.has_more], [pending.id, false]);
    assertError(
      await admin.send('GET', `${path}/deliveries?after=whdl-nope`),
      400,
      'invalid_cursor',
      'after',
    );
    await admin.send('DELETE', path);
  });

  test('another team’s endpoint is as unknown as none, by every route; own team without the role is refused', async () => {
    const made = await admin.send('POST', '/v1/webhooks', { url });
    const { id } = made.json;
    await admin.send('POST', `/v1/webhooks/${id}/test`);
    const deliveries = async () => (await admin.send('GET', `/v1/webhooks/${id}/deliveries`)).json.data;
    await until('it is listed', async () => (await deliveries()).length === 1);
    const delivery = (await deliveries())[0].id;
    const routes = (of: string): [string, string, object?][] => [
      ['GET', `/v1/webhooks/${of}`],
      ['POST', `/v1/webhooks/${of}`, { enabled: false }],
      ['DELETE', `/v1/webhooks/${of}`],
      ['POST', `/v1/webhooks/${of}/rotate_secret`, {}],
      ['POST', `/v1/webhooks/${of}/test`],
      ['GET', `/v1/webhooks/${of}/deliveries`],
      ['POST', `/v1/webhooks/${of}/deliveries/${delivery}/resend`],
    ];
    const unknown = `whep-${'x'.repeat(24)}`;
    for (const [i, [method, path, body]] of routes(id).entries()) {
      const answered = await foreign.send(method, path, body);
      const none = await foreign.send(...routes(unknown)[i]!);
      assertError(answered, 404, 'webhook_not_found', 'webhook_id');
      assert.equal(answered.text.replaceAll(id, ''), none.text.replaceAll(unknown, ''), path);
      for (const role of ['member', 'viewer'] as const) {
        assertError(
          await (await bench.caller(bench.acme, role)).send(method, path, body),
          403,
          'insufficient_role',
        );
      }
    }
    const mine = await foreign.send('POST', '/v1/webhooks', { url });
    assertError(
      await foreign.send('POST', `/v1/webhooks/${mine.json.id}/deliveries/${delivery}/resend`),
      404,
      'webhook_delivery_not_found',
    );
    assert.deepEqual((await foreign.send('GET', '/v1/webhooks')).json.data.length, 1);
    assert.equal((await admin.send('GET', `/v1/webhooks/${id}`)).json.enabled, true);
    assertError(await bench.acme.send('GET', '/v1/webhooks'), 403, 'insufficient_role');
    assertError(await bench.acme.send('POST', '/v1/webhooks', { url }), 403, 'insufficient_role');
    await admin.send('DELETE', `/v1/webhooks/${id}`);
  });

  test('test events and resent deliveries of an endpoint have one limit, and other endpoints their own', async () => {
    const [made, other] = await Promise.all([
      admin.send('POST', '/v1/webhooks', { url }),
      admin.send('POST', '/v1/webhooks', { url }),
    ]);
    const path = `/v1/webhooks/${made.json.id}`;
    const first = await admin.send('POST', `${path}/test`);
    assert.equal(first.status, 200);
    const listed = async () => (await admin.send('GET', `${path}/deliveries`)).json.data;
    await until('it is listed', async () => (await listed()).length === 1);
    const resend = `${path}/deliveries/${(await listed())[0].id}/resend`;
    const asked = await Promise.all(
      Array.from({ length: 30 }, (_, n) => admin.send('POST', n % 2 ? `${path}/test` : resend)),
    );
    const refused = asked.filter(({ status }) => status === 429);
    assert.ok(refused.length >= 15, String(refused.length));
    assert.ok(refused.length <= 21, String(refused.length));
    for (const answer of refused) {
      assertError(answer, 429, 'rate_limit_exceeded');
      const seconds = Number(answer.headers.get('retry-after'));
      assert.ok(seconds >= 1 && seconds <= 6, String(seconds));
    }
    const { count } = (
      await bench.services.sql.query(
        "SELECT count(*)::int AS count FROM audit_log WHERE target = $1 AND action IN ('webhook.test', 'webhook.resend')",
        [made.json.id],
      )
    ).rows[0];
    assert.ok(count <= 31 - refused.length);
    assertError(
      await admin.send('POST', `${path}/deliveries/whdl-none/resend`),
      404,
      'webhook_delivery_not_found',
    );
    assert.equal((await admin.send('POST', `/v1/webhooks/${other.json.id}/test`)).status, 200);
    for (const { json } of [made, other]) await admin.send('DELETE', `/v1/webhooks/${json.id}`);
  });

  test('bad input names its field; the twenty-first endpoint is refused', async () => {
    const cases: [object | string, string, string | null][] = [
      [{}, 'missing_required_parameter', 'url'],
      [{ url: 7 }, 'invalid_value', 'url'],
      [{ url: 'https://example.com/', secret: 'x' }, 'unknown_parameter', 'secret'],
      [{ url: 'https://example.com/', events: [] }, 'invalid_value', 'events'],
      [{ url: 'https://example.com/', events: ['response.completed'] }, 'invalid_value', 'events[0]'],
      [{ url: 'https://example.com/', description: 'x'.repeat(257) }, 'invalid_value', 'description'],
      [{ url: 'https://169.254.169.254/latest/meta-data' }, 'invalid_webhook_url', 'url'],
      [{ url: 'https://[::1]/' }, 'invalid_webhook_url', 'url'],
      [{ url: 'ftp://example.com/' }, 'invalid_webhook_url', 'url'],
    ];
    for (const [body, code, param] of cases) {
      assertError(await admin.send('POST', '/v1/webhooks', body), 400, code, param);
    }
    for (let i = 0; i < 20; i += 1) {
      assert.equal((await admin.send('POST', '/v1/webhooks', { url })).status, 200);
    }
    assertError(await admin.send('POST', '/v1/webhooks', { url }), 400, 'too_many_webhooks');
    const { data } = (await admin.send('GET', '/v1/webhooks')).json;
    assert.equal(data.length, 20);
    const path = `/v1/webhooks/${data[0].id}`;
    assertError(
      await admin.send('POST', path, { url: 'https://10.0.0.1/' }),
      400,
      'invalid_webhook_url',
      'url',
    );
    const rotate = { overlap_seconds: 7 * 24 * 3600 + 1 };
    assertError(
      await admin.send('POST', `${path}/rotate_secret`, rotate),
      400,
      'invalid_value',
      'overlap_seconds',
    );
  });
});
