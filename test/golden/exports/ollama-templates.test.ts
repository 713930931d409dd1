/** Chat templates of TRL's package, written as Go templates, render conversations as they do: by Go's own text/template. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Message } from '@graft/peft-core/chat';
import { loadTokenizer } from '@graft/peft-core/text';
import { goTemplate } from '../../../packages/peft-core/src/exports/ollama/write.ts';
import { turnTexts } from '../../../packages/peft-core/src/exports/turn-texts.ts';
import { packagesOf, pythonEnvironment } from '../../../scripts/golden/environment/python-environment.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';
import { trlTemplates } from '../fixtures/trl-templates.ts';

const system: Message = { role: 'system', content: 'You speak {{ little }}.' };
const turns: Message[] = [
  { role: 'user', content: 'Hello, "you"' },
  { role: 'assistant', content: 'Good day' },
  { role: 'user', content: 'Why?\n\nTell me' },
];
const conversations = [turns.slice(0, 1), turns, [system, ...turns.slice(0, 1)], [system, ...turns]];

/** Templates whose conversations are more than texts around contents. */
const others = /^gptoss/;

const templates = (await trlTemplates()).map((template) => {
  const tokenizer = loadTokenizer(template.files);
  const render = (messages: readonly Message[], addGenerationPrompt: boolean) =>
    tokenizer.applyChatTemplate(messages, { addGenerationPrompt, now: new Date('2024-07-26T12:00:00') });
  return { name: template.name, render, texts: turnTexts(render) };
});

const runs = templates.flatMap(({ name, render, texts }) =>
  conversations.flatMap((messages) => {
    if (!texts || (messages[0] === system && !texts.system)) return [];
    return [{ name, messages, template: goTemplate(texts), expected: render(messages, true) }];
  }),
);

test('templates of the usual families become Go templates that render the same', async () => {
  const python = await pythonEnvironment(undefined, 'go');
  const go = join(packagesOf(python), 'go', 'bin', 'go');
  const folder = scratchFolder('go');
  mkdirSync(folder, { recursive: true });
  const script = join(import.meta.dirname, '../../../scripts/golden/references/render_template.go');
  const output = execFileSync(go, ['run', script], {
    input: JSON.stringify(runs),
    env: {
      ...process.env,
      GOCACHE: join(folder, 'cache'),
      GOTOOLCHAIN: 'local',
      GOFLAGS: '-mod=mod',
      HOME: folder,
    },
    maxBuffer: 1 << 26,
  });
  const found: string[] = JSON.parse(output.toString());
  assert.equal(found.length, runs.length);
  for (const [i, text] of found.entries()) assert.equal(text, runs[i]!.expected, runs[i]!.name);
  const written = templates.filter(({ texts }) => texts).map(({ name }) => name);
  const refused = templates.filter(({ texts }) => !texts).map(({ name }) => name);
  assert.deepEqual(
    refused.filter((name) => !others.test(name)),
    [],
    `written: ${written.join(' ')}`,
  );
});
