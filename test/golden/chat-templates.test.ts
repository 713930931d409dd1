/** Every chat template in TRL's package renders conversations with tools and reasoning as transformers renders them. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Message, REASONING_FIELDS } from '@graft/peft-core/chat';
import { tokenizeExamples } from '@graft/peft-core/examples';
import { loadTokenizer, type Tokenizer } from '@graft/peft-core/text';
import { addTools, readsTools } from '../../packages/peft-core/src/chat/template-tools.ts';
import { createAnswerReader } from '../../packages/peft-core/src/chat/tool-styles/answer-reader.ts';
import { answerFormOf } from '../../packages/peft-core/src/chat/tool-styles/tool-styles.ts';
import {
  type ExactJson,
  Float,
  objectOf,
  readExact,
  writeExact,
} from '../../packages/peft-core/src/schema/exact-json.ts';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { conversations, type TemplateConversation } from './fixtures/template-conversations.ts';
import { type TrlTemplate, trlTemplates } from './fixtures/trl-templates.ts';

interface Reference {
  text: string | null;
  prompt: string | null;
  ids: number[] | null;
  mask: number[] | null;
}

/** Templates that lose content unless it is a list of parts. */
const partsOnly = ['idefics3', 'llava_next', 'smolvlm'].flatMap((name) => [name, `${name}_training`]);

/** Ends the names of templates to which Graft added tools. */
const ADDED = ' with tools';

/** Templates that write calls of tools. */
const withTools =
  /^(deepseekv3|diffusion_gemma|gemma4|glm|gptoss|lfm2_(2_5|v2)|llama3_[12]|muse|nemotron|qwen(2_5|3)(?!_vl|_5_vl))|with tools$/;

const now = '2024-07-26T12:00:00';
const isMarked = ({ source }: TrlTemplate) => /\{%-?\s*generation/.test(source);

/** The conversation as a user of transformers would give it. */
function inPython({ source, name }: TrlTemplate, messages: readonly Message[]): object[] {
  return messages.map(({ reasoning, role, content, ...rest }) => ({
    role: role === 'developer' && !source.includes('developer') ? 'system' : role,
    // Newer versions of transformers leave out None themselves.
    ...(content === null
      ? {}
      : { content: partsOnly.includes(name) ? [{ type: 'text', text: content }] : content }),
    ...rest,
    ...Object.fromEntries(reasoning === undefined ? [] : REASONING_FIELDS.map((field) => [field, reasoning])),
  }));
}

const cases: {
  template: TrlTemplate;
  tokenizer: Tokenizer;
  conversation: TemplateConversation;
  expected: Reference;
}[] = [];

before(async () => {
  const published = await trlTemplates();
  const without = published.filter(({ name, source }) => !partsOnly.includes(name) && !readsTools(source));
  const completed = without.map((template) => ({
    ...template,
    name: `${template.name}${ADDED}`,
    source: addTools(template.source),
    files: { ...template.files, chatTemplate: addTools(template.source) },
  }));
  const templates = [...published, ...completed];
  const planned = templates.flatMap((template) =>
    conversations
      .filter(({ line }) => line === undefined || !partsOnly.includes(template.name))
      .map((conversation) => ({ template, conversation })),
  );
  const plan = {
    now,
    tokenizers: Object.fromEntries(
      templates.map(({ name, source, files }) => [
        name,
        { chat_template: source, tokenizer_json: files.tokenizerJson, tokens: files.tokenizerConfig },
      ]),
    ),
    cases: planned.map(({ template, conversation }) => ({
      template: template.name,
      messages: inPython(template, conversation.messages),
      tools: conversation.tools ?? null,
      kwargs: conversation.kwargs ?? {},
      mask: isMarked(template),
      line: conversation.line ?? null,
    })),
  };
  const references = await runPythonJson<Reference>('chat_templates.py', [], plan);
  assert.equal(references.length, planned.length);
  const tokenizers = new Map(templates.map(({ name, files }) => [name, loadTokenizer(files)]));
  for (const [i, { template, conversation }] of planned.entries())
    cases.push({
      template,
      tokenizer: tokenizers.get(template.name)!,
      conversation,
      expected: references[i]!,
    });
});

function rendered(
  tokenizer: Tokenizer,
  { messages, tools, kwargs = {} }: TemplateConversation,
  options: { addGenerationPrompt: boolean; allowSpecialTokens: boolean },
): string | null {
  try {
    return tokenizer.applyChatTemplate(messages, {
      ...options,
      kwargs,
      now: new Date(now),
      ...(tools ? { tools } : {}),
    });
  } catch {
    return null;
  }
}

/** Differences of all cases at once: the first of each template is shown. */
function report(differences: { name: string; graft: unknown; transformers: unknown }[]): void {
  const [first] = differences;
  const names = differences.map(({ name }) => name).join('\n');
  if (first) assert.deepEqual(first.graft, first.transformers, `${differences.length} differ:\n${names}`);
}

for (const [what, addGenerationPrompt] of [
  ['text', false],
  ['prompt', true],
] as const)
  test(`the ${what} of every template and conversation is transformers'`, () => {
    const differences = cases.flatMap(({ template, tokenizer, conversation, expected }) =>
      [true, false].flatMap((allowSpecialTokens) => {
        const graft = rendered(tokenizer, conversation, { addGenerationPrompt, allowSpecialTokens });
        const name = `${template.name}: ${conversation.name}${allowSpecialTokens ? '' : ', guarded'}`;
        // gpt-oss's template refuses texts with its marks; as plain text they are harmless.
        if (!allowSpecialTokens && conversation.name === 'look-alikes of marks' && expected[what] === null)
          return [];
        return graft === expected[what] ? [] : [{ name, graft, transformers: expected[what] }];
      }),
    );
    report(differences);
    const refused = cases.filter(({ expected }) => expected[what] === null).length;
    assert.ok(refused < cases.length / 4, `transformers refuses ${refused} of ${cases.length} cases`);
  });

/** Templates with a style of calls that Graft does not read. */
const unread = /^(deepseekv3|glm4moe|muse_glimmer)/;

test('a call as transformers writes it is read with the arguments that it has', () => {
  let compared = 0;
  for (const { template, tokenizer, conversation, expected } of cases) {
    if (!conversation.line || !expected.text || !withTools.test(template.name) || unread.test(template.name))
      continue;
    const [question, calling, , last] = conversation.messages;
    const tools = conversation.tools!;
    const prompt = rendered(
      tokenizer,
      { ...conversation, messages: [question!] },
      { addGenerationPrompt: true, allowSpecialTokens: true },
    )!;
    // Some templates leave out reasoning that the prompt opens.
    const opened = expected.text.startsWith(prompt) ? prompt.length : prompt.lastIndexOf('<think>');
    const answer = expected.text.slice(opened).split(last!.content!)[0]!;
    const reader = createAnswerReader({ ...answerFormOf(template.source), tools, promptEnd: '' });
    assert.ok(reader, template.name);
    const calls = [...reader.push(answer), ...reader.end()].flatMap((piece) =>
      'call' in piece ? [piece.call] : [],
    );
    const names = calls.flatMap(({ name }) => name ?? []);
    assert.deepEqual(names, ['order'], `${template.name}: ${answer}`);
    const args = readExact(calls.map((call) => call.arguments).join(''));
    const { exact_json: written } = calling!.tool_calls![0]!.function;
    // Gemma's templates sort names, and their order is lost.
    const inOrder = template.name.includes('gemma') ? sorted : (value: ExactJson) => value;
    assert.equal(
      writeExact(inOrder(args)),
      writeExact(inOrder(readExact(written!))),
      `${template.name}: ${answer}`,
    );
    compared += 1;
  }
  assert.ok(compared > 25, `${compared} compared`);
});

function sorted(value: ExactJson): ExactJson {
  if (typeof value !== 'object' || value === null || value instanceof Float) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const fields = value as Readonly<Record<string, ExactJson>>;
  return objectOf(
    Object.keys(fields)
      .sort()
      .map((name) => [name, sorted(fields[name]!)]),
  );
}

/** True if the text of a conversation does not begin with the prompt of one of its answers, which Graft trains as separate examples. */
function hasOtherPrompts(tokenizer: Tokenizer, conversation: TemplateConversation): boolean {
  const { messages } = conversation;
  const whole = rendered(tokenizer, conversation, { addGenerationPrompt: false, allowSpecialTokens: true })!;
  return messages.some(({ role }, turn) => {
    if (role !== 'assistant' || turn === 0) return false;
    const asked = { ...conversation, messages: messages.slice(0, turn) };
    const prompt = rendered(tokenizer, asked, { addGenerationPrompt: true, allowSpecialTokens: true });
    return prompt !== null && !whole.startsWith(prompt);
  });
}

test('what marked templates train on is the assistant mask of transformers', () => {
  let compared = 0;
  const lost = new Set<string>();
  const differences = cases.flatMap(({ template, tokenizer, conversation, expected }) => {
    if (!isMarked(template) || expected.ids === null || !expected.mask!.includes(1)) return [];
    const { messages, tools, kwargs = {} } = conversation;
    const line = { format: 'chat', line: 1, messages, ...(tools ? { tools } : {}) } as const;
    const options = { maxSeqLength: 1 << 20, allowSpecialTokens: true, templateKwargs: kwargs };
    let example: ReturnType<typeof tokenizeExamples>[number] | undefined;
    try {
      [example] = tokenizeExamples(tokenizer, [line], options);
    } catch (error) {
      // No answer after a prompt has the message: transformers trains on another prompt than it renders.
      if (/ has (no )?reasoning, but |once the turn follows|no request asks for/.test(String(error)))
        return [];
      // transformers trains on an empty answer where the template knows no tools.
      assert.match(
        String(error),
        /calls the tool "\w+", which the model's chat template leaves out|no tools; train with/,
      );
      lost.add(template.name);
      return [];
    }
    compared++;
    const { ids, targets } = example!.sequences[0]!;
    const end = expected.mask!.lastIndexOf(1) + 1;
    const graft = {
      ids: [...ids, targets!.at(-1)!],
      mask: [0, ...Array.from(targets!, (id) => Number(id >= 0))],
    };
    const transformers = { ids: expected.ids.slice(0, end), mask: [0, ...expected.mask!.slice(1, end)] };
    const isSame = JSON.stringify(graft) === JSON.stringify(transformers);
    return isSame || hasOtherPrompts(tokenizer, conversation)
      ? []
      : [{ name: `${template.name}: ${conversation.name}`, graft, transformers }];
  });
  report(differences);
  assert.ok(compared > 450, `${compared} compared`);
  for (const name of lost) assert.ok(!withTools.test(name), name);
});
