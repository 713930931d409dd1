import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runGraft, temporaryFolder } from '../../testing/run-graft.ts';
import { wireServer } from '../../testing/wire-server.ts';

test('adapters download unpacks a folder like any other, and refuses to write over one', async (t) => {
  const folder = temporaryFolder(t);
  const server = await wireServer(t);
  const args = ['adapters', 'download', 'adpt_1', '--output', 'adapter'];
  const ran = await runGraft(args, { env: server.env, cwd: folder });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /in adapter: adapter_config\.json, adapter_model\.safetensors, README\.md/);
  // No archive or temporary folder is left.
  assert.deepEqual(await readdir(folder), ['adapter']);
  assert.deepEqual((await readdir(join(folder, 'adapter'))).sort(), [
    'README.md',
    'adapter_config.json',
    'adapter_model.safetensors',
  ]);
  assert.equal(await readFile(join(folder, 'adapter/adapter_config.json'), 'utf8'), '{"peft_type":"LORA"}');

  const again = await runGraft(args, { env: server.env, cwd: folder });
  assert.equal(again.code, 1);
  assert.equal(again.stderr, 'graft: adapter exists already: choose another output, or add --overwrite.\n');
  await writeFile(join(folder, 'adapter/old.safetensors'), 'old');
  const over = await runGraft([...args, '--overwrite', '--json'], { env: server.env, cwd: folder });
  assert.equal(over.code, 0, over.stderr);
  assert.equal((JSON.parse(over.stdout) as { version: number }).version, 1);
  assert.equal(existsSync(join(folder, 'adapter/old.safetensors')), false);
  assert.deepEqual(await readdir(folder), ['adapter']);

  // A folder with anything else is not deleted, nor is the current folder if the output is an unset variable of the shell.
  await mkdir(join(folder, 'adapter/notes'));
  await writeFile(join(folder, 'adapter/notes/mine.txt'), 'mine');
  const refused = await runGraft([...args, '--overwrite'], { env: server.env, cwd: folder });
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^graft: adapter holds notes\/mine\.txt, which is no file of an adapter or export, /,
  );
  assert.equal(await readFile(join(folder, 'adapter/notes/mine.txt'), 'utf8'), 'mine');
  for (const output of ['', '.', join('adapter', 'README.md')]) {
    const onto = [...args.slice(0, 3), '--output', output, '--overwrite'];
    const kept = await runGraft(onto, { env: server.env, cwd: folder });
    assert.equal(kept.code, output === '' ? 2 : 1);
    assert.match(kept.stderr, /^graft: (--output is empty: |\. holds |\S+ is a file: )/);
  }
  assert.deepEqual(await readdir(folder), ['adapter']);
  const inFile = await runGraft([...args.slice(0, 3), '--output', 'adapter/README.md/x'], {
    env: server.env,
    cwd: folder,
  });
  assert.match(inFile.stderr, /^graft: Expected a folder, but \S+README\.md is a file\.\n$/);

  const tar = await runGraft([...args.slice(0, 3), '--output', 'a.tar', '--tar'], {
    env: server.env,
    cwd: folder,
  });
  assert.equal(tar.code, 0, tar.stderr);
  assert.equal((await stat(join(folder, 'a.tar'))).size % 512, 0);
  const tarOnto = [...args.slice(0, 3), '--tar', '--overwrite', '--output'];
  const onFolder = await runGraft([...tarOnto, 'adapter'], { env: server.env, cwd: folder });
  assert.match(onFolder.stderr, /^graft: adapter is a folder: choose another output\.\n$/);
  assert.equal((await runGraft([...tarOnto, 'a.tar'], { env: server.env, cwd: folder })).code, 0);
});

test('an archive that would write elsewhere writes nothing', async (t) => {
  const folder = temporaryFolder(t);
  const server = await wireServer(t);
  server.archiveEntries.push({ header: { name: '../evil.txt' }, content: 'evil' });
  const args = ['adapters', 'download', 'adpt_1', '--output', 'inner/adapter'];
  const ran = await runGraft(args, { env: server.env, cwd: folder });
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /"\.\.\/evil\.txt" \(file\), which does not belong to the adapter/);
  assert.deepEqual(await readdir(folder, { recursive: true }), ['inner']);
});
