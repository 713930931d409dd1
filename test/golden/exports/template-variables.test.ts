/**
 * An exported chat template renders in transformers, without variables, what Graft renders with those of the training; a caller's own
 * value overrides them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message } from '@graft/peft-core/chat';
import { loadTokenizer } from '@graft/peft-core/text';
import { withDefaults } from '../../../packages/peft-core/src/exports/template-variables.ts';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { trlTemplates } from '../fixtures/trl-templates.ts';

/** Templates that lose contents unless they are lists of parts. */
const partsOnly = /^(idefics3|llava_next|smolvlm)/;

const now = '2024-07-26T12:00:00';
const messages: Message[] = [{ role: 'user', content: 'Hello, "you"' }];
const trained = { enable_thinking: false, preserve_thinking: true, reasoning_effort: 'low' };
const given = { enable_thinking: true, reasoning_effort: 'high' };
const odd = { texts: ['a "b" \\ {{ c }} %}\n\t', '猫 🙂'], nested: { 'x y': [1.5, -3, 1e21, null, true] } };
const shown =
  '{{ texts | join("|") }} {{ nested["x y"] | length }} {{ nested["x y"][0] }} {{ nested["x y"][3] is none }}';

test('every template of TRL, with variables of several kinds', async () => {
  const texts = (await trlTemplates()).filter(({ name }) => !partsOnly.test(name));
  const templates = texts.map(({ name, source, files }) => ({
    name,
    source,
    files,
    variables: trained as object,
  }));
  const last = templates.at(-1)!;
  const blank = {
    name: 'blank',
    source: `\n${shown}`,
    files: { ...last.files, chatTemplate: `\n${shown}` },
    variables: odd,
  };
  const all = [...templates, blank];
  const plan = {
    now,
    tokenizers: Object.fromEntries(
      all.map(({ name, source, files, variables }) => [
        name,
        {
          chat_template: withDefaults(source, { ...variables }),
          tokenizer_json: files.tokenizerJson,
          tokens: files.tokenizerConfig,
        },
      ]),
    ),
    cases: all.flatMap(({ name }) =>
      [{}, given].map((kwargs) => ({ template: name, messages, tools: null, kwargs, mask: false })),
    ),
  };
  const found = await runPythonJson<{ prompt: string | null }>('chat_templates.py', [], plan);
  let changed = 0;
  for (const [i, { name, files, variables }] of all.entries()) {
    const tokenizer = loadTokenizer(files);
    const prompt = (kwargs: object) => {
      try {
        const options = { addGenerationPrompt: true, allowSpecialTokens: true, now: new Date(now) };
        return tokenizer.applyChatTemplate(messages, { ...options, kwargs: { ...kwargs } });
      } catch {
        return null;
      }
    };
    const own = prompt(variables);
    assert.equal(found[2 * i]!.prompt, own, name);
    assert.equal(found[2 * i + 1]!.prompt, prompt({ ...variables, ...given }), `${name}, with other values`);
    changed += Number(own !== prompt(given));
  }
  assert.ok(changed > 5, `only ${changed} templates have such variables`);
});
