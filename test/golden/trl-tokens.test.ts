/**
 * Tokens and targets of 200 conversations, as TRL 1.16's SFTTrainer computes them with `assistant_only_loss`: it replaces a template without
 * `{% generation %}` by its own version that has it, and takes the assistant's mask of transformers. docs/training.md explains the rest.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Message, REASONING_FIELDS, type Tool } from '@graft/peft-core/chat';
import { loadTokenizer, type Tokenizer } from '@graft/peft-core/text';
import { type AssistantSpans, assistantSpans } from '../../packages/peft-core/src/chat/assistant-spans.ts';
import { Random } from '../../packages/peft-core/src/random.ts';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { type TrlTemplate, trlTemplates } from './fixtures/trl-templates.ts';

interface Conversation {
  messages: Message[];
  tools?: Tool[];
}
interface Reference {
  text: string;
  ids: number[];
  mask: number[];
}

const random = new Random(28, 'test');
const pick = <T>(from: readonly T[]): T => from[random.integer(from.length)]!;
const texts = [
  'Hi',
  'What is 2 + 2?',
  ' spaces ',
  'line\nline',
  '東京 🙂',
  'été',
  '<|im_end|> as text',
  '{"a": [1, 2.5]}',
];
const tool: Tool = {
  type: 'function',
  function: {
    name: 'add',
    description: 'Adds',
    parameters: { type: 'object', properties: { a: { type: 'number' } } },
  },
};

/** Up to four questions, each with an answer, perhaps with reasoning, perhaps after calls of a tool. */
function conversation({
  hasTools,
  hasReasoning,
}: {
  hasTools: boolean;
  hasReasoning: boolean;
}): Conversation {
  const messages: Message[] = random.integer(3) === 0 ? [{ role: 'system', content: pick(texts) }] : [];
  const thought = (): Partial<Message> =>
    hasReasoning && random.integer(2) === 0 ? { reasoning: `So ${pick(texts)}` } : {};
  const usesTools = hasTools && random.integer(2) === 0;
  for (let n = 1 + random.integer(4); n > 0; n--) {
    messages.push({ role: 'user', content: pick(texts) });
    for (let calls = usesTools ? random.integer(3) : 0; calls > 0; calls--) {
      const call = {
        id: 'call00001',
        type: 'function' as const,
        function: { name: 'add', arguments: { a: random.integer(9) } },
      };
      messages.push({ role: 'assistant', content: pick(['', 'Adding.']), tool_calls: [call], ...thought() });
      messages.push({ role: 'tool', name: 'add', tool_call_id: 'call00001', content: pick(texts) });
    }
    messages.push({ role: 'assistant', content: pick(texts), ...thought() });
  }
  return usesTools ? { messages, tools: [tool] } : { messages };
}

const kinds = {
  qwen3: { hasTools: true, hasReasoning: true },
  gemma3: { hasTools: false, hasReasoning: false },
  phi3_5: { hasTools: false, hasReasoning: false },
  // TRL refuses assistant_only_loss with Llama 3.2's template; that of Llama 3 writes the same turns.
  llama3: { hasTools: false, hasReasoning: false },
};
type Name = keyof typeof kinds;
const names = Object.keys(kinds) as Name[];
const cases = names.map((name) => ({
  name,
  conversations: Array.from({ length: 200 }, () => conversation(kinds[name])),
}));

const tokenizers = new Map<string, Tokenizer>();
let references: Map<Name, Reference[]>;

before(async () => {
  const templates = await trlTemplates();
  const byName = new Map(templates.map((template) => [template.name, template]));
  for (const { name, files } of templates) tokenizers.set(name, loadTokenizer(files));
  const trained = (name: Name): TrlTemplate => byName.get(`${name}_training`)!;
  const plan = {
    now: '2024-07-26T12:00:00',
    tokenizers: Object.fromEntries(
      names
        .map(trained)
        .map(({ name, source, files }) => [
          name,
          { chat_template: source, tokenizer_json: files.tokenizerJson, tokens: files.tokenizerConfig },
        ]),
    ),
    cases: cases.flatMap(({ name, conversations }) =>
      conversations.map(({ messages, tools = null }) => ({
        template: trained(name).name,
        messages: messages.map(({ reasoning, ...message }) => ({
          ...message,
          ...Object.fromEntries(
            reasoning === undefined ? [] : REASONING_FIELDS.map((field) => [field, reasoning]),
          ),
        })),
        tools,
        kwargs: {},
        mask: true,
      })),
    ),
  };
  const found = await runPythonJson<Reference>('chat_templates.py', [], plan);
  references = new Map(names.map((name, i) => [name, found.slice(i * 200, (i + 1) * 200)]));
});

const spansOf = (template: string, { messages, tools }: Conversation) =>
  assistantSpans(tokenizers.get(template)!, messages, {
    allowSpecialTokens: true,
    ...(tools ? { tools } : {}),
  }) as AssistantSpans[];

/** Texts of the runs of ones in a mask. */
function trainedTexts(tokenizer: Tokenizer, ids: readonly number[], mask: readonly number[]): string[] {
  const runs: number[][] = [];
  for (const [i, id] of ids.entries()) {
    if (mask[i] !== 1) continue;
    if (mask[i - 1] !== 1) runs.push([]);
    runs.at(-1)!.push(id);
  }
  return runs.map((run) => tokenizer.decode(run));
}

for (const { name, conversations } of cases) {
  test(`${name}: tokens and targets are TRL's with the template that TRL trains with`, () => {
    for (const [i, each] of conversations.entries()) {
      const { ids, mask } = references.get(name)![i]!;
      const [whole, ...more] = spansOf(`${name}_training`, each);
      assert.equal(more.length, 0);
      assert.ok(mask.includes(1));
      const graft = new Array<number>(ids.length).fill(0);
      for (const { from, to } of whole!.spans) graft.fill(1, from, to);
      assert.deepEqual({ ids: whole!.ids, mask: graft }, { ids, mask }, JSON.stringify(each));
    }
  });

  test(`${name}: with the model's own template each turn is trained on as by TRL, up to its end`, () => {
    const [own, trl] = [tokenizers.get(name)!, tokenizers.get(`${name}_training`)!];
    for (const [i, each] of conversations.entries()) {
      const { ids, mask } = references.get(name)![i]!;
      const graft = spansOf(name, each).flatMap(({ ids, spans }) =>
        spans.map(({ from, to }) => own.decode(ids.slice(from, to))),
      );
      // TRL also trains on what its templates write after the end: a line end, and at the end of a text Phi's second end.
      const expected = trainedTexts(trl, ids, mask).map((text) =>
        text.replace(/(?<=\|>|_turn>)\n(<\/s>)?$/, ''),
      );
      assert.deepEqual(graft, expected, JSON.stringify(each));
    }
  });
}
