import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { GraftError } from '../../errors.ts';
import { PublishingHub } from '../testing/publishing-hub.ts';
import { type PublishOptions, publishFolder } from './publish-folder.ts';

let hub: PublishingHub;
let folder: string;
const files = new Map([
  ['README.md', Buffer.from('# A poet')],
  ['adapter_model.safetensors', randomBytes(250_000)],
  ['tokenizer/merges.txt', randomBytes(20_000)],
  ['tokenizer/vocab.json', Buffer.from('{}')],
]);

beforeEach(async () => {
  hub = await PublishingHub.start();
  hub.tokens.set('hf_writer', ['org']);
  folder = await mkdtemp(join(tmpdir(), 'graft-publish-'));
  await mkdir(join(folder, 'tokenizer'));
  for (const [path, content] of files) await writeFile(join(folder, path), content);
});
afterEach(async () => {
  hub.stop();
  await rm(folder, { recursive: true, force: true });
});

const publish = (options: Partial<PublishOptions> = {}, token = 'hf_writer') =>
  publishFolder(folder, {
    repository: 'org/poet',
    isPublic: false,
    title: 'Add a poet',
    env: { HF_ENDPOINT: `${hub.endpoint}/`, HF_TOKEN: token },
    retryDelay: 1,
    ...options,
  });

/** Checks that the repository's head has exactly these files, after this many commits with files. */
function assertPublished(commits: number): void {
  const [, ...made] = hub.repositories.get('org/poet')!.commits;
  assert.equal(made.length, commits);
  const head = made.at(-1)!.files;
  assert.deepEqual([...head.keys()].sort(), [...files.keys()]);
  for (const [path, content] of files) assert.ok(head.get(path)!.content.equals(content), path);
  assert.equal(hub.leaked, false);
}

test('a folder becomes one commit of a new private repository, large files in parts', async () => {
  const { commit, url, changed, bytes } = await publish();
  assertPublished(1);
  const { commits, private: isPrivate } = hub.repositories.get('org/poet')!;
  assert.deepEqual([isPrivate, commits.at(-1)!.sha, commits.at(-1)!.title], [true, commit, 'Add a poet']);
  assert.deepEqual([changed, bytes], [4, 270_010]);
  assert.equal(url, `${hub.endpoint}/org/poet/commit/${commit}`);
  // Three parts, and one file that fits in a request.
  assert.equal(hub.puts, 4);
});

test('the same files again make no second commit, and changed ones are sent alone', async () => {
  const first = await publish();
  const again = await publish();
  assert.deepEqual([again.commit, again.changed], [first.commit, 0]);
  assertPublished(1);
  await writeFile(join(folder, 'README.md'), '# A bard');
  const third = await publish();
  assert.deepEqual([third.changed, third.bytes, hub.puts], [1, 8, 4]);
});

test('a cut upload, an unavailable Hub and a lost answer are tried again, with one commit', async () => {
  hub.cutUploads = 1;
  hub.commitFaults.push(503, 429);
  await publish();
  assertPublished(1);
  await writeFile(join(folder, 'README.md'), '# A bard');
  hub.lostAnswers = 1;
  const { commit } = await publish();
  const { commits } = hub.repositories.get('org/poet')!;
  assert.deepEqual([commits.length, commits.at(-1)!.sha], [3, commit]);
});

test('a refusal of the storage of large files is none of the Hub: the next attempt gets new addresses', async () => {
  hub.storageFaults.push(403, 400);
  hub.completionFaults.push(403);
  await publish();
  assertPublished(1);
  hub.reset();
  hub.tokens.set('hf_writer', ['org']);
  hub.storageFaults.push(...Array.from({ length: 40 }, () => 403));
  await assert.rejects(publish(), { code: 'hub_unavailable', message: /large files.*403: try again later/ });
  assert.equal(hub.requests.filter((request) => request.includes('/commit/')).length, 0);
});

test('nothing is sent without confirmation: no repository, no file, no commit', async () => {
  let confirmed = 0;
  const confirm = (most: number) => async () => {
    if (confirmed++ === most) throw new GraftError('gone', 'It was deleted.');
  };
  await assert.rejects(publish({ confirm: confirm(0) }), { code: 'gone' });
  assert.equal(hub.repositories.size, 0);
  confirmed = 0;
  await assert.rejects(publish({ confirm: confirm(1) }), { code: 'gone' });
  assert.deepEqual([hub.repositories.size, hub.puts], [1, 0]);
  confirmed = 0;
  await assert.rejects(publish({ confirm: confirm(1) }), { code: 'gone' });
  assert.ok(hub.puts > 0);
  assert.equal(hub.requests.filter((request) => request.includes('/commit/')).length, 0);
  confirmed = 0;
  await publish({ confirm: confirm(2) });
  assertPublished(1);
});

test('an answer that no Hub gives is not quoted, and tried again', async () => {
  const quoted = {
    code: 'hub_unavailable',
    message: /^127\.0\.0\.1:\d+ sent an answer that is not one of the Hub: try again later\.$/,
  };
  await publish();
  await writeFile(join(folder, 'README.md'), '# A bard');
  const known = JSON.stringify({ private: true, sha: hub.repositories.get('org/poet')!.commits.at(-1)!.sha });
  // Postgres does not store U+0000, so that a quoted answer would leave a publication of the service without a state.
  for (const answers of [['\0<html>'], [known, '[null]'], [known, '[]', '{}'], [known, '[]', '"\0']]) {
    hub.oddAnswers.push(...answers);
    await assert.rejects(publish({ attempts: 1 }), quoted, answers.join(' '));
  }
  hub.oddAnswers.push('<html>');
  assert.equal((await publish()).changed, 1);
});

test('nothing is visible after a failure, and the next attempt sends only what is missing', async () => {
  hub.commitFaults.push(500, 500, 500, 500);
  await assert.rejects(publish(), { code: 'hub_unavailable', message: /answered 500: try again later/ });
  assert.equal(hub.repositories.get('org/poet')!.commits.at(-1)!.files.size, 0);
  assert.equal(hub.puts, 4);
  await publish();
  assertPublished(1);
  assert.equal(hub.puts, 4);
});

test('each refusal names the remedy, and is not tried again', async () => {
  await assert.rejects(publish({}, 'hf_unknown'), { code: 'hub_refused', message: /401.*make a new one/ });
  await assert.rejects(publish({ repository: 'other/poet' }), {
    code: 'hub_refused',
    message: /403.*right to write/,
  });
  hub.repositories.set('other/poet', { private: true, commits: [] });
  hub.tokens.set('hf_wide', ['org', 'other']);
  await publish({ repository: 'other/poet' }, 'hf_wide');
  hub.repositories.set('open/poet', { private: false, commits: [] });
  await assert.rejects(publish({ repository: 'open/poet' }), { code: 'repository_public' });
  await assert.rejects(publish({ repository: 'open/poet', isPublic: true }), {
    code: 'hub_refused',
    message: /403/,
  });
  const before = hub.requests.length;
  hub.commitFaults.push(403);
  await assert.rejects(publish(), { code: 'hub_refused' });
  assert.equal(hub.requests.slice(before).filter((request) => request.includes('/commit/')).length, 1);
  for (const repository of [
    'poet',
    'org/poet/more',
    'org/..',
    'org/a--b',
    'org/poet.git',
    'org/a?b',
    'org/-a',
  ])
    await assert.rejects(publish({ repository }), { code: 'invalid_repository' }, repository);
  await assert.rejects(publish({}, ''), { code: 'hub_token_missing' });
  hub.stop();
  await assert.rejects(publish(), { code: 'hub_unavailable', message: /cannot be reached/ });
});

test('links, hidden files and empty folders are refused before anything is sent', async () => {
  await symlink('/etc/hostname', join(folder, 'linked'));
  await assert.rejects(publish(), { code: 'invalid_folder', message: /linked, which is a link/ });
  await rm(join(folder, 'linked'));
  await writeFile(join(folder, 'tokenizer', '.env'), 'SECRET=1');
  await assert.rejects(publish(), { code: 'invalid_folder', message: /hidden file tokenizer\/\.env/ });
  await rm(folder, { recursive: true });
  await assert.rejects(publish(), { code: 'invalid_folder', message: /not a folder/ });
  await mkdir(folder);
  await assert.rejects(publish(), { code: 'invalid_folder', message: /no files/ });
  assert.deepEqual(hub.requests, []);
});
