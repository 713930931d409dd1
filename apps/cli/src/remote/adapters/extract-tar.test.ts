import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from '../../testing/run-graft.ts';
import { tarOf, type WireServer } from '../../testing/wire-server.ts';
import { type ExpectedFile, extractTar } from './download-adapter.ts';

const describe = (path: string, content: string): ExpectedFile => ({
  path,
  bytes: content.length,
  sha256: createHash('sha256').update(content).digest('hex'),
});
const expected = [describe('a.json', '{}'), describe('sub/b.bin', 'bbb')];
const right = [
  { header: { name: 'a.json' }, content: '{}' },
  { header: { name: 'sub/b.bin' }, content: 'bbb' },
];

async function unpack(
  t: TestContext,
  entries: WireServer['archiveEntries'],
  files: ExpectedFile[] = expected,
  cut = 0,
): Promise<string> {
  const folder = temporaryFolder(t);
  const archive = await tarOf(entries);
  await writeFile(join(folder, 'a.tar'), cut === 0 ? archive : archive.subarray(0, -cut));
  await mkdir(join(folder, 'out'));
  await extractTar(join(folder, 'a.tar'), join(folder, 'out'), files);
  return join(folder, 'out');
}

test('the expected files are unpacked, folders included, readable as usual', async (t) => {
  const out = await unpack(t, right);
  assert.equal(await readFile(join(out, 'sub/b.bin'), 'utf8'), 'bbb');
  assert.equal((await stat(join(out, 'a.json'))).mode & 0o777 & ~process.umask(), 0o644 & ~process.umask());
});

const evil: [string, WireServer['archiveEntries'], RegExp][] = [
  ['a path upwards', [{ header: { name: '../a.json' }, content: '{}' }], /does not belong/],
  ['an absolute path', [{ header: { name: '/tmp/a.json' }, content: '{}' }], /does not belong/],
  [
    'a symbolic link',
    [{ header: { name: 'a.json', type: 'symlink', linkname: '/etc/passwd' } }],
    /\(symlink\)/,
  ],
  ['a hard link', [{ header: { name: 'a.json', type: 'link', linkname: '/etc/passwd' } }], /\(link\)/],
  ['a file too many', [...right, { header: { name: 'c' }, content: 'c' }], /"c" \(file\)/],
  ['a file twice', [...right, right[0]!], /"a\.json" \(file\)/],
  ['a longer file', [{ header: { name: 'a.json' }, content: '{ }' }], /has 3 bytes in the archive, not 2/],
  ['other bytes', [{ header: { name: 'a.json' }, content: '[]' }], /is damaged/],
  ['a missing file', [right[0]!], /lacks sub\/b\.bin/],
];
for (const [what, entries, message] of evil) {
  test(`an archive with ${what} is refused`, async (t) => {
    await assert.rejects(unpack(t, entries), message);
  });
}

test('an archive that ends early is refused', async (t) => {
  await assert.rejects(unpack(t, right, expected, 1_536), /lacks|Unexpected end/);
});

for (const path of ['../x', '/x', 'a//b', 'a/./b', '', 'C:x', 'a\\b', 'a\0b']) {
  test(`a list of files with ${JSON.stringify(path)} in it is refused`, async (t) => {
    await assert.rejects(unpack(t, [], [describe(path, 'x')]), /no place inside a folder/);
  });
}
