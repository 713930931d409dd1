/** An answer with reasoning, as the chat templates of TRL write it, is one that a constrained answer may be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message } from '@graft/peft-core/chat';
import { loadTokenizer } from '@graft/peft-core/text';
import { answerFormOf } from '../../packages/peft-core/src/chat/tool-styles/tool-styles.ts';
import { constraintOf } from '../../packages/peft-core/src/generate/constrained/constraint-of.ts';
import { loadGrammarLibrary } from '../../packages/peft-core/src/generate/constrained/grammar-library.ts';
import { grammarText } from '../../packages/peft-core/src/generate/constrained/grammar-text.ts';
import { ReasoningPhase } from '../../packages/peft-core/src/generate/constrained/reasoning-phase.ts';
import { trlTemplates } from './fixtures/trl-templates.ts';

const library = loadGrammarLibrary();

const answer = '{"a": true}';
const thought = 'Medlar';
const question: Message = { role: 'user', content: 'Hi' };
const messages: Message[] = [question, { role: 'assistant', content: answer, reasoning: thought }];
const schema = {
  type: 'object',
  properties: { a: { const: true } },
  required: ['a'],
  additionalProperties: false,
};
/** Templates whose reasoning has no marks that Graft knows. */
const unknown = /^muse_glimmer/;

test('the turns of templates that write reasoning', async () => {
  const read: Record<string, string> = {};
  for (const { name, source: template, files } of await trlTemplates()) {
    const tokenizer = loadTokenizer(files);
    const kwargs = { enable_thinking: true };
    const rendered = (given: Message[], addGenerationPrompt: boolean) => {
      try {
        return tokenizer.applyChatTemplate(given, { kwargs, addGenerationPrompt, allowSpecialTokens: true });
      } catch {
        return '';
      }
    };
    const whole = rendered(messages, false);
    const prompt = rendered([question], true);
    if (!whole.includes(thought) || unknown.test(name)) continue;
    assert.ok(whole.startsWith(prompt), name);
    const form = answerFormOf(template);
    const phase = ReasoningPhase.of(form, prompt, tokenizer, 1);
    assert.ok(phase, name);
    read[name] = phase.isFree ? 'open' : 'closed';
    const turn = whole.slice(prompt.length, whole.indexOf(answer) + answer.length);
    let restricted = '';
    let free = '';
    for (const char of turn) {
      if (phase.isFree) free += char;
      else restricted += char;
      phase.push(char);
    }
    assert.ok(!phase.isFree && free.trim().startsWith(thought), `${name}: ${turn}`);
    const { format } = constraintOf({ response_format: { type: 'json_schema', schema } }, form)!;
    const grammar = await library.Grammar.fromEBNF(grammarText(phase.around(format)));
    const accepted = await library.Testings.isGrammarAcceptString(grammar, restricted);
    assert.ok(accepted, `${name}: ${JSON.stringify(restricted)}`);
    grammar.dispose();
  }
  assert.deepEqual(new Set(Object.values(read)), new Set(['open', 'closed']));
  for (const name of ['qwen3', 'gptoss', 'glm4moe', 'nemotron_3_nano', 'qwen3_5_think'])
    assert.ok(read[name], name);
});
