/** The assistant's turns in every chat template in TRL's package: what is trained on, and the token that ends an answer. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Message, Tool } from '@graft/peft-core/chat';
import { loadTokenizer, type Tokenizer } from '@graft/peft-core/text';
import {
  type AssistantSpans,
  assistantSpans,
  type SpanOptions,
  TRAINING_DATE,
} from '../../packages/peft-core/src/chat/assistant-spans.ts';
import { turnEnds } from '../../packages/peft-core/src/chat/turn-ends.ts';
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

/** Templates that write turns differently once others follow: they leave out reasoning, or end the turn in another way. */
const SPLIT =
  /^(diffusion_gemma|gemma4_v5|glm4moe|gptoss|nemotron_3_(5_lightning|nano|super|ultra)|qwen3|qwen3_5_(no)?think|qwen3_6)$/;
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
  ['plain', plain, 72],
  ['with reasoning', thoughtful, 72],
  ['with tools', calling, 44],
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
    .filter(({ tokenizer }) => spansOf(tokenizer, thoughtful, {})!.length > 1)
    .map(({ name }) => name);
  assert.deepEqual(
    names,
    templates.map(({ name }) => name).filter((name) => SPLIT.test(name)),
  );
});

test('what precedes a turn without marks is the prompt that the model answers', () => {
  let compared = 0;
  const others = new Set<string>();
  for (const { name, tokenizer, ...template } of templates) {
    if (isMarked({ name, ...template })) continue;
    for (const messages of [plain, thoughtful, calling]) {
      const tools = messages === calling ? [tool] : undefined;
      const options = tools ? { tools } : {};
      for (const { ids, spans } of spansOf(tokenizer, messages, options) ?? []) {
        for (const { from, message } of spans) {
          const before = messages.slice(0, message);
          const prompt = { ...options, addGenerationPrompt: true, now: TRAINING_DATE };
          const { text, specialTokens } = tokenizer.renderChat(before, prompt);
          const asked = tokenizer.encode(text, { addSpecialTokens: false, specialTokens });
          if (asked.length !== from) {
            others.add(name);
            continue;
          }
          compared++;
          assert.deepEqual(ids.slice(0, from), asked, `${name}, message ${message}`);
        }
      }
    }
  }
  // Their prompts open a turn in another way than the turn itself, such as with `<think>` before an answer without reasoning.
  const opening =
    /^(deepseek_r1_distill|deepseekv3|nemotron_3_(5_lightning|nano|super|ultra)|qwen3_5_nothink)$/;
  assert.deepEqual(
    [...others].filter((name) => !opening.test(name)),
    [],
  );
  assert.ok(compared > 180, `${compared} compared`);
});

test('reasoning and its marks can be left out of what is trained on', () => {
  for (const { name, tokenizer } of templates) {
    const masked = trainedTexts(tokenizer, spansOf(tokenizer, thoughtful, { maskReasoning: true })!);
    const whole = trainedTexts(tokenizer, spansOf(tokenizer, thoughtful, {})!);
    for (const [message, text] of masked) {
      const where = `${name}: ${JSON.stringify(text)}`;
      assert.ok(!text.includes('Thoughtword'), where);
      assert.ok(text.includes(thoughtful[message]!.content!), where);
      // What is left is the end of what is trained on otherwise.
      assert.ok(whole.get(message)!.endsWith(text), where);
      if (whole.get(message)!.includes('Thoughtword'))
        assert.doesNotMatch(text, /think|channel\|?>thought|analysis/, where);
    }
  }
});
