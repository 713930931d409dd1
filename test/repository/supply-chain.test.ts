/** Images are referenced by tag and digest, and known vulnerabilities fail the check where the registry reports them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readImages } from '../../scripts/supply-chain/image-references.ts';

const root = join(import.meta.dirname, '..', '..');

test('every image of others has a whole version and the digest of it', () => {
  const images = readImages();
  assert.deepEqual(images.map(({ image }) => image.replace(/:.*/, '')).sort(), [
    'chrislusf/seaweedfs',
    'grafana/grafana',
    'node',
    'postgres',
    'prom/prometheus',
    'redis',
  ]);
  for (const { image, digest } of images) {
    assert.match(image, /:v?\d+\.\d+(?:\.\d+)?(?:-[a-z-]+)?$/, image);
    assert.match(digest ?? '', /^sha256:[0-9a-f]{64}$/, image);
  }
  // No stage is based on another image.
  const from = [...readFileSync(join(root, 'docker/Dockerfile'), 'utf8').matchAll(/^FROM (\S+)/gm)];
  assert.deepEqual([...new Set(from.map(([, base]) => base))].sort(), ['$' + '{NODE_IMAGE}', 'sources']);
});

describe('known vulnerabilities', () => {
  const advisory = (severity: string) => ({
    leaky: [
      {
        id: 1,
        url: 'https://advisories.example/GHSA-aaaa-bbbb-cccc',
        title: 'It leaks',
        severity,
        vulnerable_versions: '<=1.0.0',
        cwe: [],
        cvss: { score: 8, vectorString: null },
      },
    ],
  });
  let answer: { status: number; body: object };
  let folder: string;
  /** A registry that answers the requests of `npm audit`. */
  const registry = createServer((request, response) => {
    request.resume();
    const isAudit = request.url?.includes('/security/advisories/bulk');
    const version = { name: 'leaky', version: '1.0.0', dist: { tarball: 'http://127.0.0.1/leaky.tgz' } };
    const leaky = { name: 'leaky', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } };
    response.writeHead(isAudit ? answer.status : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isAudit ? answer.body : leaky));
  });
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'graft-supply-'));
    const manifest = { name: 'x', version: '1.0.0', dependencies: { leaky: '1.0.0' } };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    const packages = { '': manifest, 'node_modules/leaky': { version: '1.0.0' } };
    const lock = { name: 'x', version: '1.0.0', lockfileVersion: 3, requires: true, packages };
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock));
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  });
  after(() => {
    registry.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function check(
    given: typeof answer,
    allowed: object[] = [],
  ): Promise<{ code: number | null; text: string }> {
    answer = given;
    const list = join(folder, 'allowed.json');
    writeFileSync(list, JSON.stringify(allowed));
    const script = join(root, 'scripts/supply-chain/check-vulnerabilities.ts');
    const { port } = registry.address() as AddressInfo;
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', script, '--allowed', list, '--folder', folder],
      {
        cwd: root,
        env: {
          ...process.env,
          npm_config_registry: `http://127.0.0.1:${port}/`,
          npm_config_cache: mkdtempSync(join(folder, 'cache-')),
        },
      },
    );
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, text };
  }

  test('of high severity fail, unless one is allowed for a reason and a time', async () => {
    const high = { status: 200, body: advisory('high') };
    const failed = await check(high);
    assert.equal(failed.code, 1, failed.text);
    assert.match(failed.text, /✖ leaky has GHSA-aaaa-bbbb-cccc \(high\): It leaks/);
    assert.match(failed.text, /^0 passed, 1 failed$/m);
    const entry = { advisory: 'GHSA-aaaa-bbbb-cccc', package: 'leaky', until: '2999-01-01' };
    const reason = 'Graft never calls the part that leaks.';
    assert.equal((await check(high, [{ ...entry, reason }])).code, 0);
    assert.match((await check(high, [entry])).text, /✖ .*a reason of 20 characters/);
    const over = await check(high, [{ ...entry, reason, until: '2026-01-01' }]);
    assert.equal(over.code, 1);
    assert.match(over.text, /✖ .*which has passed/);
  });

  test('of moderate severity are reported and pass; a registry that reports none is named as not reachable', async () => {
    const moderate = await check({ status: 200, body: advisory('moderate') });
    assert.deepEqual([moderate.code, /moderate: leaky/.test(moderate.text)], [0, true], moderate.text);
    const none = await check({ status: 405, body: {} });
    assert.equal(none.code, 0, none.text);
    assert.match(none.text, /^not reachable: .*Nothing was checked\.$/m);
    assert.match(moderate.text, /^1 passed, 0 failed$/m);
    assert.doesNotMatch(none.text, /passed/);
  });
});
