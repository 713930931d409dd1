import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { readOptions } from './options.ts';

const root = path.resolve(import.meta.dirname, '../..');
let folder: string;
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'graft-demo-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** An --output that is not there yet. */
const fresh = () => path.join(folder, 'output');
const read = (args: string[] = [], env: NodeJS.ProcessEnv = {}) => readOptions(root, args, env);

test('by default: the bike shop, LoRA, a free port and a new key', () => {
  const options = read(['--output', fresh()])!;
  assert.equal(options.task, path.join(root, 'examples/bike-shop'));
  assert.deepEqual([options.method, options.setting.margin, options.keep], ['lora', 50, false]);
  assert.equal(options.port, null);
  assert.match(options.key, /^graft_demo[a-z0-9]{12}_[a-z0-9]{40}$/);
  assert.equal(options.keyIsNew, true);
  assert.equal(options.seed, null);
  assert.equal(read(['--output', fresh(), '--seed', '43'])!.seed, 43);
  assert.notEqual(read(['--output', fresh()])!.key, options.key);
  assert.equal(read(['--help']), null);
});

test('the data are those of npm start, unless somebody has data there', () => {
  const clone = path.join(folder, 'clone');
  mkdirSync(clone);
  symlinkSync(path.join(root, 'examples'), path.join(clone, 'examples'));
  const dataDir = () => readOptions(clone, ['--output', fresh()], {})!.dataDir;
  assert.equal(dataDir(), path.join(clone, 'data'));
  mkdirSync(path.join(clone, 'data'));
  assert.equal(dataDir(), path.join(clone, 'data/demo'));
});

test('PORT, GRAFT_DATA_DIR and GRAFT_BOOTSTRAP_KEY are honoured', () => {
  const key = `graft_abcdefgh_${'s3cret'.repeat(5)}`;
  const env = { PORT: '8011', GRAFT_DATA_DIR: path.join(folder, 'mine'), GRAFT_BOOTSTRAP_KEY: key };
  const { port, dataDir, key: used, keyIsNew } = read(['--output', fresh()], env)!;
  assert.deepEqual([port, dataDir, used, keyIsNew], [8011, path.join(folder, 'mine'), key, false]);
});

test('invalid options are reported before anything starts', () => {
  const file = path.join(folder, 'file');
  writeFileSync(file, '');
  const foreign = path.join(folder, 'foreign');
  mkdirSync(path.join(foreign, 'adapter'), { recursive: true });
  assert.equal(read(['--output', foreign])!.output, foreign);
  writeFileSync(path.join(foreign, 'thesis.tex'), '');
  const wrong: [string[], NodeJS.ProcessEnv, RegExp][] = [
    [['--peft-type', 'magic'], {}, /^--peft-type magic is not one of the demo's: lora, /],
    [['--peft-type', 'toString'], {}, /^--peft-type toString is not/],
    [['--task', '../scripts'], {}, /^--task \.\.\/scripts is no task in examples\/: bike-shop/],
    [['--seed', 'x'], {}, /^--seed x is not a whole number/],
    [['--output', file], {}, /is a file: give a folder$/],
    [['--output', foreign], {}, /holds thesis\.tex, which is not the demo's: give another folder$/],
    [['--output', root], {}, /which is not the demo's/],
    [['--outptu', 'x'], {}, /Unknown option '--outptu'/],
    [['--output', fresh()], { PORT: 'http' }, /PORT must be a port/],
    [
      ['--output', fresh()],
      { GRAFT_BOOTSTRAP_KEY: 'short' },
      /GRAFT_BOOTSTRAP_KEY must have the form graft_/,
    ],
  ];
  for (const [args, env, message] of wrong) assert.throws(() => read(args, env), { message }, args.join(' '));
});
