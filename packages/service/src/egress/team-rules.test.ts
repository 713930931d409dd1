/** Tests of one team's access to the internal network, and of what it learns of the rest: nothing. */
import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { after, test } from 'node:test';
import { createEgressRules } from './address-rules.ts';
import { EgressError, requestPinned } from './post-pinned.ts';
import { parseTeamUrl } from './team-url.ts';

const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const tcp = async (on: (socket: import('node:net').Socket) => void) =>
  await listen(createTcpServer((socket) => on(socket.on('error', () => {}))));
const http = async (on: RequestListener) => await listen(createServer(on));

const ours = { id: 'team-1', name: 'research' };
const theirs = { id: 'team-2', name: 'sales' };

test('an entry opens one port of its address for its team alone, named by name or id', () => {
  const entries = ['research=10.0.3.7:8000', 'team-2=gpu.internal:8001', '*=10.9.0.0/16:80', '[fd12::1]:443'];
  const mine = createEgressRules(entries, 'GRAFT_TEST_ALLOW', ours);
  const other = createEgressRules(entries, 'GRAFT_TEST_ALLOW', theirs);
  const nobody = createEgressRules(entries, 'GRAFT_TEST_ALLOW');
  for (const [address, host, port, who] of [
    ['10.0.3.7', '10.0.3.7', 8000, [true, false, false]],
    ['10.0.3.7', '10.0.3.7', 8001, [false, false, false]],
    ['::ffff:10.0.3.7', '::ffff:10.0.3.7', 8000, [true, false, false]],
    ['10.5.5.5', 'gpu.internal', 8001, [false, true, false]],
    ['10.5.5.5', 'gpu.internal', 8000, [false, false, false]],
    ['10.9.1.1', 'any.internal', 80, [true, true, true]],
    ['10.9.1.1', 'any.internal', 8000, [false, false, false]],
    ['fd12::1', 'fd12::1', 443, [true, true, true]],
    ['169.254.169.254', '169.254.169.254', 80, [false, false, false]],
  ] as const)
    assert.deepEqual(
      [mine, other, nobody].map((rules) => rules.allows(address, host, port)),
      who,
      `${host}:${port}`,
    );
  const parse = (text: string, rules = mine) =>
    parseTeamUrl(text, rules, { code: 'invalid_deploy_target', noPassword: '' });
  assert.equal(parse('http://10.0.3.7:8000/').port, '8000');
  const closed = { code: 'invalid_deploy_target', param: 'url' };
  assert.throws(() => parse('http://10.0.3.7:8001/'), closed);
  assert.throws(() => parse('http://10.0.3.7:8000/', other), closed);
});

test('every end without an HTTP answer has the same message, and only the detail differs', async () => {
  const silent = await tcp(() => {});
  const cases: Record<string, [url: string, addresses?: string[]]> = {
    refused: ['http://127.0.0.1:1/'],
    silent: [`http://127.0.0.1:${silent}/`],
    'silent TLS': [`https://127.0.0.1:${silent}/`],
    reset: [`http://127.0.0.1:${await tcp((socket) => socket.resetAndDestroy())}/`],
    closed: [`http://127.0.0.1:${await tcp((socket) => socket.end())}/`],
    'another protocol': [`http://127.0.0.1:${await tcp((socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'))}/`],
    'plain HTTP instead of TLS': [`https://127.0.0.1:${await http((_, response) => response.end())}/`],
    'no such name': ['http://missing.internal/', []],
    'a closed address': ['https://inside.example/', ['10.1.2.3']],
    'a closed port': ['http://vllm.internal:9/', ['127.0.0.1']],
  };
  const messages = new Set<string>();
  const details = new Set<string>();
  for (const [what, [url, addresses = ['127.0.0.1']]] of Object.entries(cases)) {
    const rules = createEgressRules(['*=127.0.0.1:*', '*=vllm.internal:8000'], 'GRAFT_TEST_ALLOW', ours);
    const open =
      what === 'a closed port' ? createEgressRules(['*=vllm.internal:8000'], 'GRAFT_TEST_ALLOW') : rules;
    const egress = { rules: open, resolve: async () => addresses, connectMs: 300, wholeMs: 300 };
    const limits = { maxBytes: 1000, bodyMs: 300 };
    const error = await requestPinned(new URL(url), { headers: {}, body: '' }, egress, limits).then(
      () => assert.fail(what),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof EgressError, what);
    messages.add(error.message);
    details.add(error.detail);
  }
  assert.deepEqual(messages.size, 1, [...messages].join('\n'));
  assert.ok(details.size >= 6, [...details].join('\n'));
  assert.match([...messages][0]!, /GRAFT_TEST_ALLOW/);
  assert.doesNotMatch([...messages][0]!, /127\.0\.0\.1|10\.1\.2\.3|ECONN/);
});
