// graft publish: a folder on a server with the Hub's protocol.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PublishingHub } from '@graft/peft-core/testing/publishing-hub';
import { runGraft, temporaryFolder } from '../../testing/run-graft.ts';

let cwd = '';
let hub: PublishingHub;
const graft = (token: string, ...args: string[]) =>
  runGraft(args, { cwd, env: { HF_ENDPOINT: hub.endpoint, HF_TOKEN: token } });

before(async (t) => {
  cwd = temporaryFolder(t as never);
  hub = await PublishingHub.start();
  hub.tokens.set('hf_writer', ['org']);
  mkdirSync(join(cwd, 'poet'));
  writeFileSync(join(cwd, 'poet', 'README.md'), '# A poet');
  writeFileSync(join(cwd, 'poet', 'adapter_model.safetensors'), Buffer.alloc(5_000, 1));
});
after(() => hub.stop());

test('publishes a folder once, and prints the commit', async () => {
  const first = await graft('hf_writer', 'publish', 'poet', 'org/poet', '--json');
  assert.equal(first.code, 0, first.stderr);
  const { commit, changed, bytes, url } = JSON.parse(first.stdout);
  assert.deepEqual([changed, bytes, url], [2, 5_008, `${hub.endpoint}/org/poet/commit/${commit}`]);
  const { commits, private: isPrivate } = hub.repositories.get('org/poet')!;
  assert.deepEqual([isPrivate, commits.at(-1)!.sha, commits.at(-1)!.title], [true, commit, 'Add poet']);
  const again = await graft('hf_writer', 'publish', 'poet', 'org/poet');
  assert.match(again.stdout, /has all of these files already/);
  assert.equal(commits.length, 2);
});

test('a refusal is one sentence, without the token', async () => {
  const refused = await graft('hf_secret_of_somebody', 'publish', 'poet', 'org/poet');
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /answered 401 for org\/poet: HF_TOKEN is not, or no longer, valid/);
  assert.doesNotMatch(refused.stdout + refused.stderr, /hf_secret/);
});

test('a folder without README.md gets a model card, unless --no-card', async () => {
  mkdirSync(join(cwd, 'merged'));
  writeFileSync(join(cwd, 'merged', 'config.json'), '{}');
  writeFileSync(join(cwd, 'merged', 'model.safetensors'), Buffer.alloc(5_000, 1));
  const carded = await graft('hf_writer', 'publish', 'merged', 'org/carded');
  assert.equal(carded.code, 0, carded.stderr);
  assert.match(carded.stderr, /a model card is added/);
  const card = hub.repositories.get('org/carded')!.commits.at(-1)!.files.get('README.md')!;
  assert.match(
    card.content.toString(),
    /^---\nlibrary_name: transformers\n[\s\S]*from_pretrained\("org\/carded"\)/,
  );
  const bare = await graft('hf_writer', 'publish', 'merged', 'org/bare', '--no-card');
  assert.equal(bare.code, 0, bare.stderr);
  const names = [...hub.repositories.get('org/bare')!.commits.at(-1)!.files.keys()];
  assert.deepEqual(names.sort(), ['config.json', 'model.safetensors']);
});
