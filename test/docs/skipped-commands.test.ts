/** Commands in snippets that docs:check skips: the `graft` command has their verbs, options and arguments. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProgram } from '../../apps/cli/src/program.ts';
import { listSnippets } from './check-docs.ts';

type Command = ReturnType<typeof createProgram>;

/** The words of a line of shell, up to a comment or an operator. */
function wordsOf(line: string): string[] {
  const [command = ''] = line.split(/ (?:#|\||&&|[0-9]?>) ?/);
  return [...command.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replaceAll(/["']/g, ''),
  );
}

/** Parses without running anything. Throws CommanderError. */
function parse(words: string[]): void {
  const quiet = (command: Command): void => {
    command.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} });
    if (command.commands.length === 0) command.action(() => {});
    command.commands.forEach(quiet);
  };
  const program = createProgram();
  quiet(program);
  program.parse(words, { from: 'user' });
}

test('the commands of skipped snippets exist, with their options', () => {
  const faults: string[] = [];
  let commands = 0;
  for (const { page, line, language, code, skip } of listSnippets()) {
    if (skip === null || language !== 'sh') continue;
    for (const text of code.replaceAll(/\\\n/g, ' ').split('\n')) {
      const [, command] = /^\s*(?:npx )?graft (.*)/.exec(text) ?? [];
      if (command === undefined) continue;
      commands++;
      try {
        parse(wordsOf(command));
      } catch (error) {
        const { code: fault, message } = error as Error & { code: string };
        if (fault !== 'commander.helpDisplayed') faults.push(`${page}:${line}: graft ${command}: ${message}`);
      }
    }
  }
  assert.ok(commands > 30);
  assert.deepEqual(faults, []);
});
