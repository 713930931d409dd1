/** The assistant's turns in every chat template in TRL's package: what is trained on, and the token that ends an answer. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Message, Tool } from '@graft/peft-core/chat';
import type { GraftError } from '@graft/peft-core/config';
import { loadTokenizer, type Tokenizer } from '@graft/peft-core/text';
import {
  type AssistantSpans,
  assistantSpans,
  type SpanOptions,
} from '../../packages/peft-core/src/chat/assistant-spans.ts';
import { turnEnds } from '../../packages/peft-core/src/chat/turn-ends.ts';
import { promptTokens } from '../../packages/peft-core/src/generate/prompts/prompt-tokens.ts';
import { conversations, type TemplateConversation } from './fixtures/template-conversations.ts';
import { type TrlTemplate, trlTemplates } from './fixtures/trl-templates.ts';

/** The tokens that end an answer, and one that calls a tool where it differs. Templates that are not listed end both with `<|im_end|>`. */
const ENDS: [templates: RegExp, ...ends: string[]][] = [
  [/^cohere/, '<|END_OF_TURN_TOKEN|>'],
  [/^deepseek/, '<｜end▁of▁sentence｜>'],
  [/^gemma3?$|^gemma3?_training/, '<end_of_turn>'],
  // Their tool results begin within the turn that asks for them.
  [/^gemma4(_v[345])?$|^diffusion_gemma/, '<turn|>', '<|tool_response>'],
  [/^gemma4_v2$/, '<turn|>'],
  // Has no end: the role of the next message follows. TRL's version trains on that.
  [/^glm4moe$/],
  [/^glm4moe_training/, '<|user|>', '<|observation|>'],
  [/^gptoss/, '<|return|>', '<|call|>'],
  [/^idefics3|^smolvlm/, '<end_of_utterance>'],
  [/^llama3/, '<|eot_id|>'],
  [/^llava/, '</s>'],
  [/^muse/, '<|eot|>'],
  [/^phi3/, '<|end|>'],
  [/./, '<|im_end|>'],
];
const endsOf = ({ name }: TrlTemplate) => ENDS.find(([pattern]) => pattern.test(name))!.slice(1) as string[];

/**
 * Templates that write turns differently once others follow, since they leave out reasoning or end the turn in another way, or whose
 * prompt opens reasoning that the turn has elsewhere or not at all.
 */
const SPLIT =
  /^(deepseek_r1_distill|deepseekv3|nemotron_3_(5_lightning|nano|super|ultra))(_training)?$|^(diffusion_gemma|gemma4_v5|glm4moe|gptoss|qwen3|qwen3_5_think|qwen3_6)$/;
/** Templates whose marks leave out the token that ends a call of a tool, so that transformers does not train on it. */
const UNMARKED_CALL_END = /^diffusion_gemma_training$/;

const isMarked = ({ source }: TrlTemplate) => /\{%-?\s*generation/.test(source);

const tool: Tool = {
  type: 'function',
  function: { name: 'get_weather', description: 'Toolword', parameters: { type: 'object', properties: {} } },
};
const weather: Message = {
  role: 'assistant',
  content: null,
  tool_calls: [
    { id: 'call00001', type: 'function', function: { name: 'get_weather', arguments: { city: 'Argword' } } },
  ],
};
const result: Message = {
  role: 'tool',
  name: 'get_weather',
  tool_call_id: 'call00001',
  content: 'Resultword',
};

const plain: Message[] = [
  { role: 'user', content: 'Userword' },
  { role: 'assistant', content: 'Answerword' },
  { role: 'user', content: 'Userword' },
  { role: 'assistant', content: 'Otherword' },
];
const thoughtful = plain.map((message) =>
  message.role === 'assistant' ? { ...message, reasoning: 'Thoughtword' } : message,
);
/** Reasoning in every turn, in its own field and in the content. */
const reasoned: TemplateConversation[] = [
  { name: 'reasoning in every turn', messages: thoughtful },
  {
    name: 'reasoning in the content of every turn',
    messages: thoughtful.map(({ reasoning, ...message }) =>
      reasoning ? { ...message, content: `<think>\n${reasoning}\n</think>\n\n${message.content}` } : message,
    ),
  },
];
const calling: Message[] = [
  { role: 'user', content: 'Userword' },
  weather,
  result,
  { role: 'assistant', content: 'Answerword' },
  { role: 'user', content: 'Userword' },
  weather,
];

let templates: (TrlTemplate & { tokenizer: Tokenizer })[];
before(async () => {
  templates = (await trlTemplates()).map((template) => ({
    ...template,
    tokenizer: loadTokenizer(template.files),
  }));
});

/** Null where the template refuses the conversation. */
function spansOf(
  tokenizer: Tokenizer,
  messages: readonly Message[],
  options: SpanOptions,
): AssistantSpans[] | null {
  try {
    return assistantSpans(tokenizer, messages, options) as AssistantSpans[];
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'chat_template_error', String(error));
    return null;
  }
}

/** Text of what is trained on in each message, by number of the message. */
function trainedTexts(tokenizer: Tokenizer, conversations: readonly AssistantSpans[]): Map<number, string> {
  const texts = new Map<number, string>();
  for (const { ids, spans } of conversations)
    for (const { from, to, message } of spans)
      texts.set(message, (texts.get(message) ?? '') + tokenizer.decode(ids.slice(from, to)));
  return texts;
}

test('the tokens that end answers', () => {
  for (const template of templates) {
    const ends = turnEnds(template.tokenizer).map((id) => template.tokenizer.decode([id]));
    assert.deepEqual(ends, endsOf(template), template.name);
  }
});

for (const [what, messages, most] of [
  ['plain', plain, 60],
  ['with reasoning', thoughtful, 70],
  ['with tools', calling, 36],
] as const)
  test(`every turn of a conversation ${what} is trained on through its end, and nothing else`, () => {
    let rendered = 0;
    for (const template of templates) {
      const { name, tokenizer } = template;
      const found = spansOf(tokenizer, messages, messages === calling ? { tools: [tool] } : {});
      if (!found) continue;
      rendered++;
      const texts = trainedTexts(tokenizer, found);
      const ends = endsOf(template);
      for (const [i, { role, content, tool_calls }] of messages.entries()) {
        const text = texts.get(i);
        const where = `${name}, message ${i}: ${JSON.stringify(text)}`;
        assert.equal(text !== undefined, role === 'assistant', where);
        if (text === undefined) continue;
        assert.ok(text.includes(content ?? 'Argword'), where);
        if (tool_calls) assert.ok(text.includes('get_weather'), where);
        for (const word of ['Userword', 'Resultword', 'Toolword']) assert.ok(!text.includes(word), where);
        const isFree = tool_calls !== undefined && UNMARKED_CALL_END.test(name);
        // Marks may include more: the end of a text, as Phi's, or a turn within the conversation that gpt-oss ends in another way.
        const tail = isMarked(template) ? text : text.trimEnd();
        if (ends.length > 0 && !isFree && !(isMarked(template) && name.startsWith('gptoss')))
          assert.ok(
            ends.some((end) => (isMarked(template) ? tail.includes(end) : tail.endsWith(end))),
            where,
          );
      }
    }
    assert.ok(rendered >= most, `${rendered} templates render it`);
  });

test('templates that write earlier turns differently give an example for each turn', () => {
  const names = templates
    .filter(({ tokenizer }) => (spansOf(tokenizer, thoughtful, {})?.length ?? 1) > 1)
    .map(({ name }) => name);
  assert.deepEqual(
    names,
    templates.map(({ name }) => name).filter((name) => SPLIT.test(name)),
  );
});

/** The template's tokenizer, in which two line ends are one token as in those of newer models. */
function withJoinedLines({ files }: TrlTemplate): Tokenizer {
  const json = structuredClone(files.tokenizerJson) as {
    model: { vocab: Record<string, number>; merges: [string, string][] };
  };
  json.model.vocab['\u010a\u010a'] = 90_000;
  json.model.merges.push(['\u010a', '\u010a']);
  return loadTokenizer({ ...files, tokenizerJson: json as unknown as Record<string, unknown> });
}

/** The tokens of the prompt that asks for the message numbered `turn`, as serving has them; null if the template refuses to ask. */
function servedTokens(
  tokenizer: Tokenizer,
  { messages, tools, kwargs = {} }: TemplateConversation,
  turn: number,
): number[] | null {
  const asked = { messages: messages.slice(0, turn), templateKwargs: kwargs, hasTrainingDate: true };
  const rules = { tokenizer, fewestTokens: () => 0, vocabularySize: 1 << 20 };
  try {
    const read = promptTokens(
      tools?.length ? { ...asked, tools } : asked,
      { context: 1 << 20, leading: 0 },
      rules,
    );
    assert.ok('ids' in read, JSON.stringify(read));
    return [...read.ids];
  } catch (error) {
    assert.equal((error as GraftError).code, 'chat_template_error', String(error));
    return null;
  }
}

/** Spans that are trained on; or why the conversation is refused. */
function outcomeOf(tokenizer: Tokenizer, conversation: TemplateConversation): AssistantSpans[] | string {
  const { messages, tools, kwargs = {} } = conversation;
  try {
    // Lines of data have no empty list of tools, either.
    const options = { templateKwargs: kwargs, ...(tools?.length ? { tools } : {}) };
    return assistantSpans(tokenizer, messages, options) as AssistantSpans[];
  } catch (error) {
    assert.equal((error as GraftError).code, 'chat_template_error', String(error));
    return (error as GraftError).message;
  }
}

/** A refusal of a message whose prompt and turn differ; the others are of messages that a template refuses to render. */
const DIFFERS = / has (no )?reasoning, |once the turn follows/;
const OF_REASONING =
  /^messages\[(\d+)\] has (no )?reasoning, but .*; train with (?:chat_template_kwargs (\{.*?\})|a chat_template whose prompt .*?), or (?:give the message "reasoning_content"|leave the reasoning out)$/;
const OF_EARLIER =
  /, here before messages\[(\d+)\]; train with another chat_template, or give this message "weight" 0$/;

/** Changes the conversation as each of the refusal's options describes. */
function changedAsAdvised(conversation: TemplateConversation, refusal: string): TemplateConversation[] {
  const context = OF_EARLIER.exec(refusal)?.[1];
  const { messages } = conversation;
  if (context !== undefined)
    return [
      {
        ...conversation,
        messages: messages.with(Number(context), { ...messages[Number(context)]!, weight: 0 }),
      },
    ];
  assert.match(refusal, OF_REASONING);
  const [, at, lacks, option] = OF_REASONING.exec(refusal)!;
  const before = messages.slice(0, Number(at)).map((message): Message => ({ ...message, weight: 0 }));
  const last = messages[Number(at)]!;
  const { reasoning: _, ...bare } = { ...last, content: last.content?.split('</think>').at(-1) ?? null };
  const changed = lacks ? { ...last, reasoning: 'Thoughtword' } : bare;
  const advised = { ...conversation, messages: [...before, changed] };
  if (!option) return [advised];
  const kwargs = { ...conversation.kwargs, ...JSON.parse(option) };
  return [advised, { ...conversation, messages: [...before, last], kwargs }];
}

for (const [lines, tokenizerOf] of [
  ['apart', (template: TrlTemplate) => loadTokenizer(template.files)],
  ['as one token', withJoinedLines],
] as const)
  test(`each turn is trained on after the prompt that serving asks it with, or the refusal says what helps; line ends ${lines}`, () => {
    let compared = 0;
    const refused = new Set<string>();
    for (const template of templates) {
      const tokenizer = tokenizerOf(template);
      const check = (conversation: TemplateConversation, found: AssistantSpans[]) => {
        for (const { ids, spans } of found)
          for (const message of new Set(spans.map((span) => span.message))) {
            const served = message === 0 ? null : servedTokens(tokenizer, conversation, message);
            if (!served) continue;
            const where = `${template.name}: ${conversation.name}, message ${message}`;
            assert.deepEqual(ids.slice(0, served.length), served, where);
            const { from } = spans.find((span) => span.message === message)!;
            if (!isMarked(template)) assert.equal(from, served.length, where);
            compared++;
          }
      };
      for (const conversation of [...conversations, ...reasoned]) {
        if (!conversation.messages.some(({ role }) => role === 'assistant')) continue;
        const found = outcomeOf(tokenizer, conversation);
        if (typeof found !== 'string') check(conversation, found);
        else if (DIFFERS.test(found)) {
          refused.add(template.name);
          for (const changed of changedAsAdvised(conversation, found)) {
            const helped = outcomeOf(tokenizer, changed);
            const isOther = typeof helped === 'string' && !DIFFERS.test(helped);
            if (isOther) continue;
            assert.ok(typeof helped !== 'string', `${template.name}: ${conversation.name}: ${helped}`);
            check(changed, helped);
          }
        }
      }
    }
    const strict = /^(deepseek_r1_distill|deepseekv3|diffusion_gemma|gemma4_v5|glm4moe|nemotron_3_|qwen3)/;
    assert.deepEqual(
      [...refused].filter((name) => !strict.test(name)),
      [],
    );
    assert.ok(refused.size >= 14 && compared > 1_500, `${[...refused]} refused, ${compared} compared`);
  });

test('R1-Distill trains the reasoning that its template leaves out, after the prompt that opens it', () => {
  const { tokenizer } = templates.find(({ name }) => name === 'deepseek_r1_distill')!;
  const end = '<｜end▁of▁sentence｜>';
  for (const { messages } of reasoned) {
    const texts = trainedTexts(tokenizer, spansOf(tokenizer, messages, {})!);
    assert.equal(texts.get(1), `Thoughtword\n</think>\n\nAnswerword${end}`);
    assert.equal(texts.get(3), `Thoughtword\n</think>\n\nOtherword${end}`);
    const masked = trainedTexts(tokenizer, spansOf(tokenizer, messages, { maskReasoning: true })!);
    assert.deepEqual([...masked.values()], [`Answerword${end}`, `Otherword${end}`]);
  }
});

test('reasoning and its marks can be left out of what is trained on', () => {
  for (const { name, tokenizer } of templates) {
    if (!spansOf(tokenizer, thoughtful, {})) continue;
    const masked = trainedTexts(tokenizer, spansOf(tokenizer, thoughtful, { maskReasoning: true })!);
    const whole = trainedTexts(tokenizer, spansOf(tokenizer, thoughtful, {})!);
    for (const [message, text] of masked) {
      const where = `${name}: ${JSON.stringify(text)}`;
      assert.ok(!text.includes('Thoughtword'), where);
      assert.ok(text.includes(thoughtful[message]!.content!), where);
      // The remaining text is the end of what is trained on otherwise.
      assert.ok(whole.get(message)!.endsWith(text), where);
      if (whole.get(message)!.includes('Thoughtword'))
        assert.doesNotMatch(text, /think|channel\|?>thought|analysis/, where);
    }
  }
});
