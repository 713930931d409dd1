/** URLs that would reach internal addresses. A canary on every loopback address counts connections, not requests: there must be none. */
import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createEgressRules, type EgressRules } from '../egress/address-rules.ts';
import { createResolve, type Egress, EgressError, postPinned } from '../egress/post-pinned.ts';
import { parseWebhookUrl } from '../egress/team-url.ts';
import { createTestJob, createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { startWebhookSender } from './deliver/webhook-sender.ts';
import { listDeliveries } from './deliveries.ts';
import { createWebhook } from './manage-endpoints.ts';
import { type DnsServer, openDnsServer, type Zone } from './testing/dns-server.ts';

/** A port that public receivers may use, so that the rules do not refuse URLs for their port. */
const port = 8443;
const at = (hosts: string[], scheme = 'https') => hosts.map((host) => `${scheme}://${host}:${port}/hook`);

/** Each of these is another name of loopback: without rules, it reaches the canary. */
const loopback = at([
  ...[
    '127.0.0.1',
    '127.1',
    '127.0.1',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0x7F.0x0.0x0.0x1',
    '017700000001',
  ],
  ...[
    '0177.0.0.1',
    '0177.0.0.01',
    '127.0.0.1.',
    '127.0.0.2',
    '127.255.255.254',
    '127.66.6.6',
    '%31%32%37.0.0.1',
  ],
  ...['①②⑦.⓪.⓪.①', '127。0。0。1', '0', '0.0.0.0', '0x0', '00000000000'],
  ...['[::1]', '[0:0:0:0:0:0:0:1]', '[0000:0000:0000:0000:0000:0000:0000:0001]', '[::0.0.0.1]', '[::]'],
  ...[
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::FFFF:127.0.0.1]',
    '[0:0:0:0:0:ffff:7f00:0001]',
    '[::ffff:0.0.0.0]',
  ],
  ...[
    'loop.evil.test',
    'LOOP.evil.test',
    'loop.evil.test.',
    'six.evil.test',
    'mapped.evil.test',
    'alias.evil.test',
  ],
  ...['zero.evil.test', 'first.evil.test', 'every.evil.test'],
]);

/** Internal addresses on which no test can listen. */
const elsewhere = [
  ...at([
    '169.254.169.254',
    '2852039166',
    '0xA9FEA9FE',
    '0251.0376.0251.0376',
    '169.254.43518',
    '[::ffff:a9fe:a9fe]',
  ]),
  ...at([
    '169.254.170.2',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '[fd00:ec2::254]',
    '[fd20:ce::254]',
  ]),
  ...at([
    '10.0.0.1',
    '10.255.255.255',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '100.127.255.255',
  ]),
  ...at([
    '198.18.0.1',
    '192.0.2.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
  ]),
  ...at([
    '255.255.255.255',
    '192.88.99.1',
    '[fc00::1]',
    '[fd12:3456::1]',
    '[fe80::1]',
    '[febf::1]',
    '[fec0::1]',
  ]),
  ...at(['[ff02::1]', '[64:ff9b::7f00:1]', '[64:ff9b::a9fe:a9fe]', '[64:ff9b:1::a00:1]', '[2002:7f00:1::]']),
  ...at([
    '[2002:a9fe:a9fe::1]',
    '[2001::1]',
    '[2001:0:a9fe:a9fe::1]',
    '[2001:db8::1]',
    '[100::1]',
    '[::127.0.0.1]',
  ]),
  ...at(['[3fff::1]', '[5f00::1]', 'meta.evil.test', 'nat64.evil.test', 'ula.evil.test', 'mixed.evil.test']),
  ...at(['many.evil.test', 'nothing.evil.test', 'localhost', 'a.localhost']),
];

/** Refused for their form, whatever they resolve to. */
const malformed = [
  ...at(['127.0.0.1', 'loop.evil.test', '[::1]'], 'http'),
  ...at(
    ['user:password@example.com', 'token@example.com', '[fe80::1%25eth0]', '127.0.0.1.1', '256.256.256.256'],
    'https',
  ),
  'file:///etc/passwd',
  'gopher://127.0.0.1:8443/_x',
  'ftp://127.0.0.1/',
  'data:text/plain,x',
  'javascript:alert(1)',
  'unix:///var/run/docker.sock',
  'ws://127.0.0.1:8443/',
  '//127.0.0.1:8443/',
  '/hook',
  '',
  'https://',
  'https://example.com:22/',
  'https://example.com:6379/',
  'https://example.com:99999/',
  'https://example.com/#fragment',
  `https://example.com/${'x'.repeat(3_000)}`,
  'https://exa mple.com/',
  'https://example.com\u0000.evil.test/',
];

const zone: Zone = {
  'loop.evil.test': () => ['127.0.0.1'],
  'six.evil.test': () => ['::1'],
  'mapped.evil.test': () => ['::ffff:127.0.0.1'],
  'zero.evil.test': () => ['0.0.0.0'],
  'alias.evil.test': () => [{ cname: 'loop.evil.test' }, '127.0.0.1'],
  'first.evil.test': () => ['127.0.0.1', '93.184.215.14'],
  'every.evil.test': () => ['127.0.0.1', '::1'],
  'mixed.evil.test': () => ['93.184.215.14', '127.0.0.1'],
  'meta.evil.test': () => ['169.254.169.254'],
  'nat64.evil.test': () => ['64:ff9b::7f00:1'],
  'ula.evil.test': () => ['fd00::1'],
  'many.evil.test': () => Array.from({ length: 24 }, (_, i) => `127.0.1.${i}`),
  // First a host that the operator allows, then always the canary.
  'rebind.evil.test': (asked) => [asked === 1 ? '127.0.0.9' : '127.0.0.1'],
};

const everything: EgressRules = {
  setting: 'GRAFT_WEBHOOK_ALLOW',
  isEmpty: false,
  opensHost: () => false,
  opens: () => true,
  allows: () => true,
};
const message = { headers: { 'content-type': 'application/json' }, body: '{}' };

let connections: string[];
let dns: DnsServer;
const canaries = ['::', '127.0.0.1'].map(() =>
  createServer((socket) => {
    connections.push(socket.localAddress ?? '');
    socket.on('error', () => {}).destroy();
  }),
);
before(async () => {
  dns = await openDnsServer(zone);
  // Dual stack: every address of this machine. Without IPv6 only the IPv4 addresses.
  const [both, four] = canaries as [(typeof canaries)[0], (typeof canaries)[0]];
  await new Promise<void>((resolve, reject) => {
    both.once('error', () => four.once('error', reject).listen(port, '0.0.0.0', resolve));
    both.listen(port, '::', resolve);
  });
});
after(async () => {
  for (const canary of canaries) canary.close();
  await dns.close();
});

function egressOf(rules: EgressRules, limits: { connectMs?: number } = {}): Egress {
  const resolve = createResolve(rules, { timeoutMs: 500, servers: [dns.address] });
  return { rules, resolve, connectMs: 1_000, wholeMs: 2_000, ...limits };
}

/** Sends even if creating the endpoint was refused: it may have been created under other rules. */
async function post(url: string, egress: Egress): Promise<unknown> {
  return URL.canParse(url) ? await postPinned(new URL(url), message, egress) : null;
}

describe('hostile URLs', () => {
  test('are these at least', () => {
    assert.ok(loopback.length + elsewhere.length + malformed.length >= 120);
    assert.ok(new Set([...loopback, ...elsewhere, ...malformed]).size >= 120);
  });

  test('without rules each of the loopback ones reaches the canary', async () => {
    const hasIpv6 = (canaries[0]!.address() as AddressInfo | null) !== null;
    const reached: string[] = [];
    for (const url of loopback) {
      connections = [];
      await post(url, egressOf(everything)).catch(() => {});
      if (connections.length > 0) reached.push(url);
    }
    const missed = loopback.filter((url) => !reached.includes(url));
    if (hasIpv6) assert.deepEqual(missed, []);
    else assert.ok(reached.length >= 20, missed.join('\n'));
  });

  for (const [what, allow] of Object.entries({
    'with no rules of the operator’s': [],
    'with a range and a host opened': ['10.20.0.0/16', 'inside.example'],
  })) {
    test(`${what}, none reaches it, and each is refused`, async () => {
      const rules = createEgressRules(allow);
      connections = [];
      for (const url of [...loopback, ...elsewhere]) {
        // Refused when sending, whatever the result was when creating the endpoint.
        await assert.rejects(post(url, egressOf(rules)), EgressError, url);
      }
      for (const url of malformed) {
        if (allow.length === 0)
          assert.throws(
            () => parseWebhookUrl(url, rules),
            { code: 'invalid_webhook_url', param: 'url' },
            url,
          );
        // URLs of a public host are not requested from here.
        if (!URL.canParse(url) || url.includes('example.com')) continue;
        await assert.rejects(post(url, egressOf(rules)), url);
      }
      assert.deepEqual(connections, []);
    });
  }

  test('addresses of no host, and those where clouds serve secrets, stay closed whatever is opened', async () => {
    const rules = createEgressRules(['0.0.0.0/0', '::/0']);
    for (const host of [
      '169.254.169.254',
      '100.100.100.200',
      '168.63.129.16',
      '0.0.0.0',
      '255.255.255.255',
      '::',
    ]) {
      assert.equal(rules.allows(host, host, 443), false, host);
    }
    for (const host of [
      '::ffff:169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      '2002:a9fe:a9fe::',
      'fd00:ec2::254',
      'fe80::1',
    ]) {
      assert.equal(rules.allows(host, host, 443), false, host);
    }
    for (const host of ['127.0.0.1', '10.1.2.3', '::1', '::ffff:10.1.2.3', '64:ff9b::808:808', 'fd12::1']) {
      assert.equal(rules.allows(host, host, 443), true, host);
    }
  });

  test('redirects are not followed, wherever they lead', async () => {
    const locations = [
      ...loopback.slice(0, 12),
      'http://127.0.0.1:8443/',
      '//127.0.0.1:8443/',
      'https://loop.evil.test:8443/',
    ];
    let answer = { status: 302, location: '' };
    const opened = createHttpServer((_, response) =>
      response
        .writeHead(answer.status, {
          location: answer.location,
          refresh: `0; url=${answer.location}`,
          'alt-svc': `h2="127.0.0.1:${port}"`,
        })
        .end(),
    );
    await new Promise<void>((resolve) => opened.listen(0, '127.0.0.9', resolve));
    const egress = egressOf(createEgressRules(['127.0.0.9']));
    connections = [];
    for (const status of [301, 302, 303, 307, 308]) {
      for (const location of locations) {
        answer = { status, location: encodeURI(location) };
        const url = new URL(`http://127.0.0.9:${(opened.address() as AddressInfo).port}/`);
        assert.equal((await postPinned(url, message, egress)).status, status);
      }
    }
    assert.deepEqual(connections, []);
    opened.close();
  });

  test('a name that changes between check and connection is asked once, and only what was checked is connected to', async () => {
    let received = 0;
    const opened = createHttpServer((_, response) => {
      received += 1;
      response.end();
    });
    await new Promise<void>((resolve) => opened.listen(0, '127.0.0.9', resolve));
    const url = new URL(`http://rebind.evil.test:${(opened.address() as AddressInfo).port}/`);
    const egress = egressOf(createEgressRules(['127.0.0.9']));
    connections = [];
    assert.equal((await postPinned(url, message, egress)).status, 200);
    assert.equal(received, 1);
    assert.equal(dns.asked.get('rebind.evil.test A'), 1);
    // The next request resolves the name again, and reaches the canary.
    url.port = String(port);
    await assert.rejects(postPinned(url, message, egress), EgressError);
    assert.equal(dns.asked.get('rebind.evil.test A'), 2);
    assert.deepEqual(connections, []);
    opened.close();
  });

  test('through the sender none reaches it, and what the team reads says nothing of what is inside', async (t) => {
    const services = await openTestServices();
    t.after(async () => await services.close());
    connections = [];
    const endpoints: { teamId: string; id: string }[] = [];
    const teams: TestTeam[] = [];
    let team = await createTestTeam(services);
    for (const url of [...loopback, ...elsewhere]) {
      if (endpoints.length % 20 === 0) {
        team = await createTestTeam(services);
        teams.push(team);
      }
      const input = { url, description: null, events: ['fine_tuning.job.cancelled' as const] };
      const made = await createWebhook(services, team.id, input, { keyId: team.keyId }).catch(
        (error: { code: string }) => {
          assert.equal(error.code, 'invalid_webhook_url');
        },
      );
      if (made) endpoints.push({ teamId: team.id, id: made.endpoint.id });
    }
    // URLs with an address are already refused at creation.
    assert.ok(endpoints.length >= 10 && endpoints.length <= 20, `${endpoints.length} of names`);
    for (const each of teams) await createTestJob(services, each, 'cancelled');
    const resolve = createResolve(createEgressRules([]), { timeoutMs: 500, servers: [dns.address] });
    const sender = startWebhookSender(services, {
      pollMs: 10,
      firstSeconds: 0.01,
      longestSeconds: 0.01,
      resolve,
    });
    t.after(async () => await sender.close());
    const errors = new Set<string>();
    for (const { teamId, id } of endpoints) {
      const end = performance.now() + 60_000;
      for (;;) {
        const { data } = await listDeliveries(services, teamId, id, { limit: 1 });
        if ((data[0]?.attempts ?? 0) >= 2 && data[0]?.lastError) {
          errors.add(data[0].lastError);
          break;
        }
        assert.ok(performance.now() < end, 'waited in vain for an attempt');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    assert.deepEqual(connections, []);
    assert.equal(errors.size, 1, [...errors].join('\n'));
    for (const error of errors) assert.doesNotMatch(error, /\d+\.\d+|::/);
  });
});
