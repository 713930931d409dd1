/** Documentation pages: links resolve, an example comes first, and README.md is short. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const tracked = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
const pages = tracked.filter((path) => path.endsWith('.md') && existsSync(join(root, path)));

/** The anchors that GitHub creates for headings. */
function anchorsOf(markdown: string): Set<string> {
  const headings = markdown.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.+)$/gm);
  return new Set(
    [...headings].map(([, title]) =>
      title!
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('links between pages lead to files and headings', () => {
  const broken: string[] = [];
  let links = 0;
  for (const page of pages) {
    const text = read(page).replace(/^```[\s\S]*?^```/gm, '');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(https?:|mailto:)/.test(target!)) continue;
      const [path, anchor] = target!.split('#') as [string, string?];
      const file = path ? relative(root, join(root, dirname(page), path)) : page;
      links += 1;
      if (!existsSync(join(root, file))) broken.push(`${page}: ${target}`);
      else if (anchor && !anchorsOf(read(file)).has(anchor)) broken.push(`${page}: ${target}`);
    }
  }
  assert.ok(links > 200);
  assert.deepEqual(broken, []);
});

test('pages and headings that sources name are there', () => {
  const broken: string[] = [];
  for (const path of tracked) {
    if (!/\.(ts|tsx|mjs|sh|cc|h|ya?ml|prisma|json)$/.test(path) || !existsSync(join(root, path))) continue;
    for (const [name, page, anchor] of read(path).matchAll(
      /\bdocs\/((?:decisions\/)?[\w-]+\.md)(?:#([\w-]+))?/g,
    )) {
      // A page of another project, and a page in a test.
      if (page === 'gguf.md' || page === 'a.md') continue;
      const file = join('docs', page!);
      if (!existsSync(join(root, file)) || (anchor && !anchorsOf(read(file)).has(anchor)))
        broken.push(`${path}: ${name}`);
    }
  }
  assert.deepEqual(broken, []);
});

test('every page in docs/ shows an example before its first section', () => {
  const without = readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md') && name !== 'architecture.md')
    .filter((name) => !/```/.test(read(`docs/${name}`).split(/^## /m)[0]!));
  assert.deepEqual(without, []);
});

test('README.md has at most 900 words', () => {
  assert.ok(read('README.md').split(/\s+/).filter(Boolean).length <= 900);
});

test('docs/README.md links to every page', () => {
  const index = read('docs/README.md');
  const missing = readdirSync(join(root, 'docs')).filter(
    (name) => name.endsWith('.md') && name !== 'README.md' && !index.includes(`(${name})`),
  );
  assert.deepEqual(missing, []);
});
