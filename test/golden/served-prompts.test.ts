/** The same conversation has the same tokens in training and in an answer's prompt, with every chat template in TRL's package. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { GraftError } from '@graft/peft-core/config';
import { loadTokenizer } from '@graft/peft-core/text';
import { demandsOf } from '../../apps/api/src/answer-demands.ts';
import { readConversation as readRequest } from '../../apps/api/src/serving/read-conversation.ts';
import { assistantSpans } from '../../packages/peft-core/src/chat/assistant-spans.ts';
import { readConversation as readLine } from '../../packages/peft-core/src/chat/read-messages.ts';
import { promptTokens } from '../../packages/peft-core/src/generate/prompts/prompt-tokens.ts';
import { type TrlTemplate, trlTemplates } from './fixtures/trl-templates.ts';

type Messages = Parameters<typeof readRequest>[0];
type Tools = NonNullable<Parameters<typeof demandsOf>[0]['tools']>;

const stock: Tools[number] = {
  type: 'function',
  function: {
    strict: true,
    description: '',
    name: 'stock',
    parameters: { type: 'object', properties: { part: { type: 'string' } } },
  },
};
const call = (id: string, text: string) => ({
  id,
  type: 'function' as const,
  function: { name: 'stock', arguments: text },
});

const conversations: Record<string, { messages: Messages; tools?: Tools }> = {
  'a developer': {
    messages: [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: 'Why?' },
      { role: 'assistant', content: 'Because.' },
    ],
  },
  'names and parts': {
    messages: [
      { role: 'system', content: 'Be kind.', name: 'host' },
      {
        role: 'user',
        name: 'Ada',
        content: [
          { type: 'text', text: 'Two ' },
          { type: 'text', text: 'parts' },
        ],
      },
      { role: 'assistant', name: 'Bo', content: 'Yes.', thinking: 'Are they two?' },
      { role: 'user', content: 'Thanks', name: null },
      { role: 'assistant', content: 'Gladly.' },
    ],
  },
  'a developer, calls and reasoning': {
    tools: [stock],
    messages: [
      { role: 'developer', content: 'Look it up.' },
      { role: 'user', content: 'A 32 tyre?' },
      {
        role: 'assistant',
        reasoning: 'I look.',
        tool_calls: [call('call00001', '{"part": "tyre 32", "n": 1.0, "deep": [{"a": null}]}')],
      },
      { role: 'tool', tool_call_id: 'call00001', name: 'stock', content: '4' },
      { role: 'assistant', content: 'Four.' },
      { role: 'user', content: 'And tubes?' },
      { role: 'assistant', content: 'Let me see.', tool_calls: [call('call00002', ' ')] },
      { role: 'tool', tool_call_id: 'call00002', content: '7' },
      { role: 'assistant', content: 'Seven.' },
    ],
  },
};

/** Opening of an answer that a template writes and that the answers of training data contain themselves. */
const OPENING = /^(?:<think>)?\s*$/;

let templates: TrlTemplate[];
before(async () => {
  // Those that mark what is generated are TRL's versions of others: they count a part of an answer's header to the answer.
  templates = (await trlTemplates()).filter(({ source }) => !/\{%-?\s*generation/.test(source));
});

/** The tokens before the last answer in training, and those of the prompt that asks for it; null if the template refuses the conversation. */
function tokensOf({ files }: TrlTemplate, { messages, tools }: (typeof conversations)[string]) {
  const tokenizer = loadTokenizer(files);
  const line = readLine({ messages, tools });
  assert.ok(typeof line !== 'string', String(line));
  const own = { trainOn: 'last_assistant' as const };
  const demands = demandsOf(tools ? { tools } : {});
  const asked = { messages: readRequest(messages.slice(0, -1)), hasTrainingDate: true };
  const limits = { context: 1 << 20, leading: 0 };
  const rules = { tokenizer, fewestTokens: () => 0, vocabularySize: 1 << 20 };
  try {
    const [example] = assistantSpans(
      tokenizer,
      line.messages,
      line.tools ? { ...own, tools: line.tools } : own,
    )!;
    const served = promptTokens(demands.tools ? { ...asked, tools: demands.tools } : asked, limits, rules);
    assert.ok('ids' in served);
    return { trained: example!.ids.slice(0, example!.spans[0]!.from), served: [...served.ids], tokenizer };
  } catch (error) {
    if (error instanceof GraftError && TEMPLATE_ERRORS.has(error.code)) return null;
    throw error;
  }
}

const TEMPLATE_ERRORS = new Set(['chat_template_error', 'unsupported_chat_template']);

for (const [name, conversation] of Object.entries(conversations))
  test(`${name}: training and answers have the same tokens`, () => {
    const compared: TrlTemplate[] = [];
    for (const template of templates) {
      const both = tokensOf(template, conversation);
      if (!both) continue;
      compared.push(template);
      const { trained, served, tokenizer } = both;
      const text = (ids: readonly number[]) => tokenizer.decode([...ids]);
      const start = served.slice(0, trained.length);
      assert.deepEqual([text(start), start], [text(trained), trained], template.name);
      assert.match(text(served.slice(trained.length)), OPENING, template.name);
    }
    const knowing = compared.filter(({ source }) => source.includes('developer'));
    assert.ok(knowing.length >= 4, `only ${knowing.length} templates that know developers`);
    assert.ok(compared.length - knowing.length >= 15, `only ${compared.length} templates`);
  });
