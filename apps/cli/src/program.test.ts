import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { parsePeftConfig, parseTrainingOptions, resolveTraining } from '@graft/peft-core/config';
import type { Command } from 'commander';
import { createProgram } from './program.ts';

/** Every command with an action, and the words that lead to it. */
function verbs(command: Command, words: string[] = ['graft']): { words: string[]; command: Command }[] {
  if (command.commands.length === 0) return [{ words, command }];
  return command.commands.flatMap((child) => verbs(child, [...words, child.name()]));
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text;
}

/** Splits a command line like a shell; the examples use no special characters except quotes. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, one, two, bare]) => one ?? two ?? bare!);
}

const all = verbs(createProgram());

test('the program has the commands that README describes', () => {
  const names = all.map(({ words }) => words.slice(1).join(' '));
  for (const name of ['jobs create', 'jobs watch', 'adapters download', 'chat', 'admin keys create'])
    assert.ok(names.includes(name), name);
  for (const name of ['train', 'score', 'generate', 'merge', 'inspect'])
    assert.ok(names.includes(name), name);
});

for (const { words, command } of all) {
  const name = words.slice(1).join(' ');
  describe(name, () => {
    const help = helpOf(command);
    const examples = help
      .split('\nExample:\n')[1]
      ?.split('\n')
      .filter((line) => line.startsWith('  $ '));

    test('has --json, --help with a summary, and explains every option', () => {
      assert.ok(command.options.some(({ long }) => long === '--json'));
      assert.match(help, new RegExp(`^Usage: ${words.join(' ')} `));
      assert.match(help, /-h, --help/);
      assert.ok(command.description().length > 5);
      for (const option of command.options) assert.ok(option.description.length > 5, option.long);
    });

    test('has an example that takes its own options, and all that it needs', () => {
      assert.ok(examples && examples.length > 0, help);
      for (const example of examples) {
        // `echo … | graft …` and `graft … < file`.
        const typed = example.slice(4).split(' | ').at(-1)!.split(' < ')[0]!;
        const given = shellWords(typed);
        assert.deepEqual(given.slice(0, words.length), words, example);
        const options = given.filter((word) => /^--?[a-z]/.test(word));
        for (const option of options) {
          const known = command.options.some(({ long, short }) => option === long || option === short);
          assert.ok(known, `${example}: ${option}`);
        }
        for (const { long, mandatory } of command.options)
          assert.ok(!mandatory || options.includes(long!), `${example}: lacks ${long}`);
        const argumentOf = (option: string) => given[given.indexOf(option) + 1]!;
        if (options.includes('--peft') && !argumentOf('--peft').startsWith('@'))
          parsePeftConfig(JSON.parse(argumentOf('--peft')));
        if (options.includes('--training') && !argumentOf('--training').startsWith('@')) {
          const peft = parsePeftConfig({ peft_type: 'LORA' });
          resolveTraining({
            peft,
            training: parseTrainingOptions(JSON.parse(argumentOf('--training'))),
            exampleCount: 10,
          });
        }
      }
    });
  });
}

test('data of every task, and the storage of the frozen weights, can be found in the help of train', () => {
  const help = helpOf(all.find(({ words }) => words[1] === 'train')!.command);
  for (const words of [
    '"messages"',
    '"prompt"',
    '"label"',
    '"tokens"',
    '"anchor"',
    '"sentence1"',
    '--task',
    'base_dtype',
  ])
    assert.ok(help.includes(words), words);
});

test('npx graft: the command is where npm puts those of the workspace', () => {
  const root = resolve(import.meta.dirname, '../../..');
  const help = execFileSync(join(root, 'node_modules/.bin', 'graft'), ['--help'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, GRAFT_ENV_FILE: '' },
  });
  assert.match(help, /^Usage: graft \[options\] \[command\]\n/);
  assert.match(help, /Every command has --help, with examples, and --json\./);
  for (const { words } of all) assert.match(help, new RegExp(`^ {2}${words[1]}\\b`, 'm'));
});
