import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { completionScript } from './completion.ts';
import { createProgram } from './program.ts';

/** The completions that bash offers for these words, the last of which is incomplete. */
function offered(...typed: string[]): string[] {
  const words = ['graft', ...typed].map((word) => `'${word}'`).join(' ');
  const ask = `COMP_WORDS=(${words}); COMP_CWORD=${typed.length}; _graft; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const script = `${completionScript(createProgram(), 'bash')}\n${ask}`;
  const ran = spawnSync('bash', ['--norc', '-uc', script], { encoding: 'utf8' });
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stdout.split('\n').filter(Boolean);
}

test('bash completes verbs, options and choices, also behind options with values', () => {
  assert.deepEqual(offered('jo'), ['join', 'jobs']);
  assert.deepEqual(offered('jobs', 'wa'), ['watch']);
  assert.ok(offered('').includes('files') && offered('').includes('import'));
  assert.deepEqual(offered('jobs', 'create', '--mod'), ['--model']);
  assert.deepEqual(offered('jobs', 'create', '--model', 'smollm2', '--val'), ['--validation']);
  assert.deepEqual(offered('admin', 'keys', 'cr'), ['create']);
  assert.deepEqual(offered('completion', 'f'), ['fish']);
  assert.deepEqual(offered('import', 'openai', '--dry'), ['--dry-run']);
  // No completion, so bash offers files.
  assert.deepEqual(offered('files', 'upload', 'train'), []);
});

for (const shell of ['zsh', 'fish'] as const) {
  test(`what ${shell} reads is a script of ${shell} and knows every verb`, () => {
    const script = completionScript(createProgram(), shell);
    for (const words of ['graft jobs create', 'graft admin keys create', 'graft import openai']) {
      assert.ok(script.includes(`'${words}'`), words);
    }
    const ran = spawnSync(shell, ['-n'], { input: script, encoding: 'utf8' });
    // Where the shell is not installed, only the text is checked.
    if (ran.error) assert.equal((ran.error as NodeJS.ErrnoException).code, 'ENOENT');
    else assert.equal(ran.status, 0, ran.stderr);
  });
}
