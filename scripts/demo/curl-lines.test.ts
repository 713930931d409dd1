import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { curlLines } from './run-demo.ts';

const lines = curlLines({
  baseUrl: 'http://127.0.0.1:8000/v1',
  file: 'train.jsonl',
  job: { model: 'base', suffix: "Ada's" },
  jobId: 'ftjob-1',
  adapterId: 'adpt-2',
  version: 3,
  model: 'ft:base:team:x:1',
  messages: [{ role: 'user', content: "It won't $HOME `ls`" }],
});

/** The arguments as curl would get them. */
const shell = (line: string): string[] =>
  execFileSync('/bin/sh', ['-c', line.replace(/^curl/, `printf '%s\\n'`)], {
    encoding: 'utf8',
    env: { GRAFT_API_KEY: 'the-key' },
  })
    .trimEnd()
    .split('\n');

test('five commands; the fourth downloads the adapter', () => {
  assert.equal(lines.length, 5);
  assert.deepEqual(shell(lines[3]!), [
    'http://127.0.0.1:8000/v1/adapters/adpt-2/versions/3/download',
    '-H',
    'Authorization: Bearer the-key',
    '-o',
    'adapter.tar',
  ]);
});

test('a shell passes the bodies on as they are', () => {
  assert.deepEqual(JSON.parse(shell(lines[1]!).at(-1)!), {
    model: 'base',
    suffix: "Ada's",
    training_file: 'file-…',
  });
  assert.deepEqual(JSON.parse(shell(lines[4]!).at(-1)!), {
    model: 'ft:base:team:x:1',
    temperature: 0,
    messages: [{ role: 'user', content: "It won't $HOME `ls`" }],
  });
  assert.equal(shell(lines[2]!)[1], 'http://127.0.0.1:8000/v1/fine_tuning/jobs/ftjob-1/events?stream=true');
});
