import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { graftIn, runGraft, temporaryFolder } from '../testing/run-graft.ts';
import { startApi } from '../testing/start-api.ts';

test('webhooks against a real API: from create to delete', async (t) => {
  const received: { id: string; type: string }[] = [];
  let answer = 500;
  const receiver = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    received.push(JSON.parse(body));
    response.writeHead(answer).end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  t.after(() => receiver.close());
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/graft`;

  const folder = temporaryFolder(t);
  const settings = { GRAFT_WEBHOOK_ALLOW: '127.0.0.1' };
  const place = await startApi(t, folder, { settings });
  const operator = graftIn(folder, place);
  await operator.ok(['admin', 'teams', 'create', 'hooks']);
  const { key } = await operator.json(['admin', 'keys', 'create', '--team', 'hooks', '--role', 'admin']);
  const env = { GRAFT_BASE_URL: place.GRAFT_BASE_URL, GRAFT_API_KEY: key };
  const graft = async (...args: string[]) => {
    const ran = await runGraft(['webhooks', ...args], { env });
    assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stderr}`);
    return ran;
  };
  const json = async (...args: string[]) => JSON.parse((await graft(...args, '--json')).stdout);
  const until = async (what: string, holds: () => Promise<boolean>) => {
    for (const end = performance.now() + 60_000; !(await holds()); await sleep(100)) {
      assert.ok(performance.now() < end, `waited in vain: ${what}`);
    }
  };

  const refused = await runGraft(['webhooks', 'create', 'https://169.254.169.254/'], { env });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^graft: url leads to an address that is not on the internet/m);
  const made = await graft('create', url, '--description', 'CI');
  assert.match(made.stdout, /^description +CI$/m);
  assert.match(made.stdout, /^whsec_\S+$/m);
  assert.match(made.stderr, /shown only once/);
  const [{ id }] = (await json('list')).data;
  assert.match(
    (await graft('list')).stdout,
    new RegExp(`^${id} +${url} +enabled +succeeded failed cancelled`, 'm'),
  );
  assert.equal((await json('get', id)).url, url);
  assert.equal((await json('get', id)).secret, undefined);

  const { event_id: eventId } = await json('test', id);
  await until('it fails', async () => (await json('deliveries', id)).data[0]?.last_status === 500);
  const [delivery] = (await json('deliveries', id, '--status', 'pending')).data;
  assert.match(
    (await graft('deliveries', id)).stdout,
    /webhook\.test .* pending +\d+ .*The receiver answered 500\./,
  );
  assert.match((await graft('get', id)).stdout, /^state +failing$/m);
  answer = 204;
  assert.match(
    (await graft('resend', id, delivery.id)).stdout,
    /^Sending webhook\.test of whep-\w+ again\.$/m,
  );
  await until('it is delivered', async () => (await json('deliveries', id)).data[0].status === 'delivered');
  assert.deepEqual(new Set(received.map((event) => event.id)), new Set([eventId]));

  assert.match((await graft('rotate', id, '--overlap', '0')).stdout, /^whsec_\S+\n$/);
  const changed = await json('update', id, '--event', 'fine_tuning.job.failed', '--disable');
  assert.deepEqual([changed.events, changed.enabled], [['fine_tuning.job.failed'], false]);
  const nothing = await runGraft(['webhooks', 'update', id], { env });
  assert.deepEqual([nothing.code, /Nothing to change/.test(nothing.stderr)], [2, true]);
  assert.equal((await graft('delete', id)).stdout, `Deleted ${id}\n`);
  assert.match((await graft('list')).stdout, /^No webhooks yet/);
});
