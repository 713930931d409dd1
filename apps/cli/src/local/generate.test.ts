// `graft generate` with tools: their calls, on this machine.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { writeTinyModel, writeTinyToolModel } from '@graft/peft-core/testing';
import { runGraft, temporaryFolder } from '../testing/run-graft.ts';

let folder = '';
const ask = (model: string, ...args: string[]) =>
  runGraft(['generate', '--model', model, '--max-tokens', '120', ...args], { cwd: folder });

const unit = { type: 'string', enum: ['C', 'F'] };
const parameters = { type: 'object', properties: { unit }, required: ['unit'], additionalProperties: false };
const tools = ['weather', 'time'].map((name) => ({ type: 'function', function: { name, parameters } }));

before(async (t) => {
  folder = temporaryFolder(t as never);
  await writeTinyModel(join(folder, 'plain'));
  await writeTinyToolModel(join(folder, 'model'));
  await writeFile(join(folder, 'tools.json'), JSON.stringify(tools));
});

test('a call of the chosen tool is printed as JSON, and follows the schema', async () => {
  const args = ['-m', 'How warm is it?', '--tools', '@tools.json', '--tool-choice', 'time'];
  const shown = await ask('model', ...args);
  assert.equal(shown.code, 0, shown.stderr);
  const printed = JSON.parse(shown.stdout.trim());
  assert.equal(printed.name, 'time');
  assert.match(JSON.parse(printed.arguments).unit, /^[CF]$/);

  const { stdout, stderr, code } = await ask('model', ...args, '--json');
  assert.equal(code, 0, stderr);
  const { text, tool_calls: calls, finish_reason: reason } = JSON.parse(stdout);
  assert.deepEqual([text, reason, calls.length, calls[0].type], ['', 'tool_calls', 1, 'function']);
  assert.match(calls[0].id, /./);
  assert.deepEqual(calls[0].function, printed);
});

test('reasoning before a call is apart from it, and cut off without one', async () => {
  const args = ['-m', 'a', '--tools', '@tools.json', '--tool-choice', 'time', '--max-tokens', '8'];
  const { stdout, stderr, code } = await ask(
    'model',
    ...args,
    '--template-kwargs',
    '{"thinks": true}',
    '--json',
  );
  assert.equal(code, 0, stderr);
  const { text, reasoning_content, tool_calls, finish_reason } = JSON.parse(stdout);
  assert.deepEqual([text, tool_calls, finish_reason], ['', [], 'length']);
  assert.match(reasoning_content, /./);
  assert.ok(stderr.includes(reasoning_content.slice(0, 2)), stderr);
});

test('tools that cannot be used are refused', async () => {
  const given = ['--tools', JSON.stringify(tools)];
  for (const [args, message] of [
    [['-m', 'a', '--tool-choice', 'none'], /--tool-choice needs --tools/],
    [['--prompt', 'a', ...given], /--tools needs the chat template/],
    [
      ['-m', 'a', '--tools', '[{"function": {"name": "a"}}]'],
      /--tools: tools\[0\].type must be "function", got undefined/,
    ],
    [['-m', 'a', ...given, '--tool-choice', 'wind'], /must name one of 'tools', got 'wind'/],
  ] as const) {
    const { code, stderr } = await ask('model', ...args);
    assert.notEqual(code, 0);
    assert.match(stderr, message);
  }
  assert.match((await ask('plain', '-m', 'a', ...given)).stderr, /chat template has no tool calls/);
});
