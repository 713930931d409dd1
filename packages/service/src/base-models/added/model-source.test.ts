import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '@graft/peft-core/config';
import { isSourceEntry } from '../../environment/source-entry.ts';
import { isAllowedSource, parseModelSource } from './model-source.ts';

test('a source is one of folder, hub and s3, in the form of each', () => {
  assert.deepEqual(parseModelSource({ hub: 'org/name', revision: 'v1' }), {
    source: 'hub',
    location: 'org/name',
    revision: 'v1',
    file: null,
  });
  assert.equal(parseModelSource({ folder: '/models/../models/tiny/' }).location, '/models/tiny');
  assert.equal(parseModelSource({ s3: 's3://bucket/some/prefix/' }).location, 's3://bucket/some/prefix');
  const faulty: [Parameters<typeof parseModelSource>[0], string][] = [
    [{}, 'hub'],
    [{ hub: 'org/name', folder: '/models' }, 'hub'],
    [{ hub: 'org/..' }, 'hub'],
    [{ hub: 'org/a/b' }, 'hub'],
    [{ folder: 'models/tiny' }, 'folder'],
    [{ folder: '/models', file: 'x.gguf' }, 'file'],
    [{ s3: 'https://bucket/prefix' }, 's3'],
    [{ s3: 's3://bucket/../other' }, 's3'],
    [{ s3: 's3://bucket/prefix', revision: 'main' }, 'revision'],
    [{ hub: 'org/name', revision: 'a b' }, 'revision'],
    [{ hub: 'org/name', file: '../x.gguf' }, 'file'],
    [{ hub: 'org/name', file: 'x.bin' }, 'file'],
  ];
  for (const [given, param] of faulty) {
    assert.throws(
      () => parseModelSource(given),
      (error: GraftError) => error.code === 'invalid_value' && error.param === param,
      JSON.stringify(given),
    );
  }
});

test('requests name sources below an entry of the list, and no other', () => {
  const list = ['hub:org/*', '/models', 's3://bucket/base'];
  for (const entry of list) assert.ok(isSourceEntry(entry), entry);
  for (const entry of ['hub:org', 'org/*', '/', 'models', 's3://', 'https://x/y'])
    assert.ok(!isSourceEntry(entry), entry);
  const allowed = (given: Parameters<typeof parseModelSource>[0], of = list) =>
    isAllowedSource(parseModelSource(given), of);
  assert.ok(allowed({ hub: 'org/name' }));
  assert.ok(allowed({ folder: '/models/tiny' }));
  assert.ok(allowed({ folder: '/models' }));
  assert.ok(allowed({ s3: 's3://bucket/base/tiny' }));
  assert.ok(!allowed({ hub: 'other/name' }));
  assert.ok(!allowed({ folder: '/models/../etc' }));
  assert.ok(!allowed({ folder: '/models-of-others' }));
  assert.ok(!allowed({ s3: 's3://bucket/baseless' }));
  assert.ok(!allowed({ s3: 's3://bucket' }));
  assert.ok(!allowed({ hub: 'org/name' }, []));
});
