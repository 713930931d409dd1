import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import { Shell, splitCommands } from './shell.ts';

const shell = new Shell(tmpdir(), { ...process.env, GRAFT_API_KEY: 'the key' }, 2);
after(() => shell.close());

test('commands keep variables and aliases, and read the key', async () => {
  await shell.run('export NAME=ada');
  await shell.run("alias greet='echo hello'");
  assert.deepEqual(await shell.run('greet $NAME; cat'), { output: 'hello ada\nthe key\n', code: 0 });
});

test('exit codes are those of commands, also in a pipe; a command may end the shell', async () => {
  assert.equal((await shell.run('false | cat')).code, 1);
  assert.equal((await shell.run('exit 3')).code, 3);
  assert.deepEqual(await shell.run('echo again'), { output: 'again\n', code: 0 });
});

test('a command that takes too long is killed', async () => {
  assert.equal((await shell.run('sleep 60')).code, null);
});

test('a script is split into commands, which may go over lines', () => {
  const script = [
    '# a comment',
    'one --option \\',
    '  two',
    '',
    "send -d '{",
    '  "a": 1',
    "}'  # sent",
    'until one; do',
    '  two',
    'done',
  ];
  assert.deepEqual(splitCommands(script.join('\n')), [
    'one --option \\\n  two',
    `send -d '{\n  "a": 1\n}'  # sent`,
    'until one; do\n  two\ndone',
  ]);
});
