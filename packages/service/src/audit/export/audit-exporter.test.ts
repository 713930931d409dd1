import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { auditSinkFault } from '../../environment/env.ts';
import type { Services } from '../../services.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { auditHash } from '../verify-audit.ts';
import { openAuditSink, startAuditExporter } from './audit-exporter.ts';

interface Line {
  chain: string;
  sequence: number;
  hash: string;
  content: string;
  entry: { team_id: string | null; action: string; target: string };
}

let services: Services;
let folder: string;
before(async () => {
  services = await openTestServices();
  folder = await mkdtemp(path.join(tmpdir(), 'graft-audit-sink-'));
});
after(async () => {
  await services?.close();
  await rm(folder, { recursive: true, force: true });
});

const quick = { pollMs: 20, firstSeconds: 0.02, longestSeconds: 0.05 };
const token = 'a-token-of-the-sink';

function exporterTo(sink: string, sinkToken?: string) {
  const env = { ...services.env, auditSink: sink, auditSinkToken: sinkToken };
  return startAuditExporter({ ...services, env }, quick);
}

async function add(team: string, count: number): Promise<void> {
  await services.sql.query(
    "INSERT INTO audit_log (team_id, action, target, detail) SELECT $1, 'x', 'n' || n, '{\"text\": \"ä\\n\"}' FROM generate_series(1, $2) n",
    [team, count],
  );
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = performance.now() + 60_000; !(await holds()); await sleep(20))
    assert.ok(performance.now() < end, what);
}

const parse = (text: string): Line[] =>
  text
    .trimEnd()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

/** Asserts that each entry of the team was received at least once and in order, and that the hashes form a chain. */
function assertWhole(lines: Line[], chain: string, count: number): void {
  const own = new Map<number, Line>();
  for (const line of lines.filter((each) => each.chain === chain)) {
    assert.ok(own.has(line.sequence) || line.sequence === own.size + 1, `${line.sequence} after ${own.size}`);
    own.set(line.sequence, line);
  }
  assert.equal(own.size, count);
  let hash = '';
  for (const line of own.values()) {
    hash = auditHash(hash, line.content);
    assert.equal(line.hash, hash);
    assert.equal(line.entry.team_id, chain);
    assert.deepEqual(line.entry, JSON.parse(line.content));
  }
}

test('a receiver that fails, hangs up and redirects gets all entries, in order, from two processes of which one sends', async () => {
  let received = '';
  let requests = 0;
  let busy = 0;
  let overlaps = 0;
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer(async (request, response) => {
    requests += 1;
    if (++busy > 1) overlaps += 1;
    seen.push(request.headers);
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    busy -= 1;
    if (requests === 1) return void response.writeHead(503, { 'retry-after': '0' }).end();
    if (requests === 2) return void response.destroy();
    if (requests === 3) return void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
    received += body;
    // The batch is stored but not acknowledged: the sender sends it again.
    if (requests === 4) return void response.destroy();
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sink = `http://127.0.0.1:${(server.address() as AddressInfo).port}/audit?x=1`;
  await add('team-a', 700);
  await add('team-b', 3);
  const exporters = [exporterTo(sink, token), exporterTo(sink, token)];
  const has = (count: number) => parse(received).filter(({ chain }) => chain === 'team-a').length >= count;
  await until(() => has(700), 'the first entries');
  await add('team-a', 5);
  await until(
    () => parse(received).some(({ chain, sequence }) => chain === 'team-a' && sequence === 705),
    'more',
  );
  await Promise.all(exporters.map((exporter) => exporter.close()));
  assertWhole(parse(received), 'team-a', 705);
  assertWhole(parse(received), 'team-b', 3);
  assert.equal(overlaps, 0);
  for (const headers of seen)
    assert.deepEqual(
      [headers.authorization, headers['content-type']],
      [`Bearer ${token}`, 'application/x-ndjson'],
    );

  // After a restart the exporter continues behind the stored entries.
  received = '';
  await add('team-a', 2);
  const again = exporterTo(sink, token);
  await until(() => parse(received).length >= 2, 'after a restart');
  await again.close();
  assert.deepEqual(
    parse(received).map(({ sequence }) => sequence),
    [706, 707],
  );
  server.close();
});

test('a file gets all entries, is its owner’s alone, and survives a line that was cut off', async () => {
  const file = path.join(folder, 'audit.ndjson');
  await add('team-c', 3);
  const first = exporterTo(`file:${file}`);
  const text = async () => await readFile(file, 'utf8').catch(() => '');
  const count = async (wanted: number) =>
    (await text()).split('\n').filter((line) => line.startsWith('{"chain":"team-c"')).length === wanted;
  await until(() => count(3), 'three');
  await first.close();
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assertWhole(parse(await text()), 'team-c', 3);
  await appendFile(file, '{"chain":"cut');
  await add('team-c', 1);
  const second = exporterTo(`file:${file}`);
  await until(() => count(4), 'four');
  await second.close();
  const lines = (await text()).split('\n');
  assert.ok(lines.includes('{"chain":"cut'));
  assertWhole(parse(lines.filter((line) => line !== '{"chain":"cut').join('\n')), 'team-c', 4);
});

test('a sink is https, or http to this machine, or an absolute file; never where clouds keep secrets', async () => {
  for (const url of [
    'https://siem.internal:9200/in',
    'http://127.0.0.1:8/x',
    'http://localhost/x',
    'file:/var/a',
  ])
    assert.equal(auditSinkFault(url), null, url);
  for (const url of [
    'http://siem/x',
    'file:relative/',
    'file://host/a',
    'ftp://a/b',
    'x',
    'https://a:b@c/',
    'https://c/#f',
  ])
    assert.notEqual(auditSinkFault(url), null, url);
  const metadata = openAuditSink('https://169.254.169.254/latest', undefined);
  await assert.rejects(metadata.send('{}\n'), /leads to an address that is not on the internet/);
});
