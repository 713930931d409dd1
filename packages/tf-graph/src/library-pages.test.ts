import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { findCompiler } from '../../../scripts/bootstrap/tensorflow/prerequisites.mjs';

const header = join(import.meta.dirname, '../native/library-pages.h');
/** A program that prints the mappings that may be dropped, of those in the file given as argument. */
const program = `
  #include ${JSON.stringify(header)}
  int main(int, char** arguments) {
    std::FILE* maps = std::fopen(arguments[1], "r");
    eachLibraryMapping(maps, [](unsigned long begin, unsigned long end) { std::printf("%lx-%lx\\n", begin, end); });
    std::fclose(maps);
  }`;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-pages-'));
  await writeFile(join(folder, 'main.cc'), program);
  const args = ['-std=c++17', '-o', join(folder, 'main'), join(folder, 'main.cc')];
  await promisify(execFile)(findCompiler(), args);
});
after(() => rm(folder, { recursive: true, force: true }));

interface Mapping {
  at: string;
  permissions?: string;
  file?: string;
  /** Kilobytes; undefined if the kernel does not report it. */
  anonymous?: number;
  swap?: number;
}

const text = ({ at, permissions = 'r-xp', file = '/lib/libtensorflow_cc.so.2', anonymous, swap }: Mapping) =>
  [
    `${at} ${permissions} 00000000 08:01 123 ${file}`,
    'Size:               1024 kB',
    ...(anonymous === undefined ? [] : [`Anonymous:      ${anonymous} kB`]),
    ...(swap === undefined ? [] : [`Swap:           ${swap} kB`, `SwapPss:        ${swap} kB`]),
    'VmFlags: rd ex mr mw me',
  ].join('\n');

async function dropped(...mappings: Mapping[]): Promise<string[]> {
  const file = join(folder, 'smaps');
  await writeFile(file, `${mappings.map(text).join('\n')}\n`);
  const { stdout } = await promisify(execFile)(join(folder, 'main'), [file]);
  return stdout.split('\n').filter(Boolean);
}

test('pages of the library that are in its file are dropped', {
  skip: process.platform !== 'linux',
}, async () => {
  assert.deepEqual(
    await dropped(
      { at: '1000-2000', anonymous: 0, swap: 0 },
      { at: '2000-3000', anonymous: 0, swap: 0, file: '/lib/libc.so.6' },
      { at: '3000-4000', anonymous: 0, swap: 0, permissions: 'rw-p' },
      { at: '5000-6000', anonymous: 0, swap: 0, permissions: 'r--p' },
    ),
    ['1000-2000', '5000-6000'],
  );
});

test('pages that were relocated stay, in memory or swapped out', {
  skip: process.platform !== 'linux',
}, async () => {
  assert.deepEqual(
    await dropped(
      { at: '1000-2000', anonymous: 8, swap: 0 },
      // Relocated, then swapped out: it has no anonymous memory now, but the file contains other bytes.
      { at: '2000-3000', anonymous: 0, swap: 8 },
      { at: '3000-4000', anonymous: 0 },
      { at: '4000-5000', swap: 0 },
      { at: '5000-6000', anonymous: 0, swap: 0 },
    ),
    ['5000-6000'],
  );
});
