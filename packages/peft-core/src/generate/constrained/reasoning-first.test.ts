/** Constrained answers of a real, untrained model whose chat template has reasoning: biases make it reason, and end that. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Tool } from '../../chat/message.ts';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { layingOutFor } from '../../nn/computation.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyToolModel } from '../../testing/tiny-model.ts';
import { type GenerateRequest, Generator } from '../generator.ts';
import type { GeneratedText, GenerateResult } from '../sequence.ts';

const code = (letter: string) => letter.codePointAt(0)!;
/** `<think>`, `</think>` */
const [OPEN, CLOSE] = [260, 261];
/** The model reasons `LENGTH` times "o", until the penalty makes the end of the reasoning more probable. */
const LENGTH = 11;
const reasons: GenerateRequest = {
  logit_bias: { [OPEN]: 30, [code('o')]: 60, [CLOSE]: 40, 257: 50 },
  frequency_penalty: 2,
};
const thought = 'o'.repeat(LENGTH);

const schema = {
  type: 'object',
  properties: { kind: { enum: ['a', 'b'] }, sure: { type: 'boolean' } },
  required: ['kind', 'sure'],
};
const json: GenerateRequest = { response_format: { type: 'json_schema', schema } };
const weather: Tool = {
  type: 'function',
  function: { name: 'weather', parameters: { ...schema, additionalProperties: false } },
};
const now: Tool = { type: 'function', function: { name: 'now' } };
const may = { chat_template_kwargs: { thinks: 'may' } };
const open = { chat_template_kwargs: { thinks: true } };
const prompts: [name: string, kwargs: Pick<GenerateRequest, 'chat_template_kwargs'>][] = [
  ['opened by the model', may],
  ['opened by the prompt', open],
];

interface Answer extends GenerateResult {
  content: string;
  reasoning: string;
  calls: { name: string; arguments: string }[];
  pieces: GeneratedText[];
}

interface Opened {
  ask(request: GenerateRequest): Promise<Answer>;
  base(): BaseModel;
}

/** Opens a generator for a model with these tokens. */
function opened(added?: readonly string[]): Opened {
  const inFolder = tempFolder();
  let base: BaseModel;
  let generator: Generator;
  before(async () => {
    await writeTinyToolModel(inFolder('model'), added);
    base = await openBaseModel(inFolder('model'), { digestCache: inFolder() });
    generator = await Generator.open({ base, context: 1024, rows: 8 });
  });
  after(async () => {
    await generator?.close();
    await base?.close();
  });
  return { ask: async (request) => await answerOf(generator, request), base: () => base };
}

async function answerOf(generator: Generator, request: GenerateRequest): Promise<Answer> {
  const messages = [{ role: 'user', content: 'Hi' }];
  const said = generator.generate({ messages, max_tokens: 300, separate_reasoning: true, ...request });
  const answer = { content: '', reasoning: '', calls: [] as Answer['calls'], pieces: [] as GeneratedText[] };
  for (;;) {
    const next = await said.next();
    if (next.done) return { ...answer, ...next.value };
    answer.pieces.push(next.value);
    answer.content += next.value.text;
    answer.reasoning += next.value.reasoning ?? '';
    for (const { index, name, arguments: text } of next.value.calls ?? []) {
      answer.calls[index] ??= { name: name!, arguments: '' };
      answer.calls[index].arguments += text;
    }
  }
}

function checkFields(text: string): void {
  const { kind, sure, ...others } = JSON.parse(text) as Record<string, unknown>;
  assert.ok(['a', 'b'].includes(kind as string) && typeof sure === 'boolean', text);
  assert.deepEqual(others, {});
}

describe('a constrained answer after reasoning', () => {
  const { ask, base } = opened();

  for (const [name, kwargs] of prompts) {
    test(`${name}: content of a schema`, async () => {
      const answer = await ask({ ...reasons, ...kwargs, ...json });
      assert.equal(answer.reasoning, thought);
      checkFields(answer.content);
      assert.equal(answer.finishReason, 'stop');
    });

    test(`${name}: any object`, async () => {
      const answer = await ask({
        ...reasons,
        ...kwargs,
        response_format: { type: 'json_object' },
        max_tokens: 40,
      });
      assert.equal(answer.reasoning, thought);
      assert.match(answer.content, /^\{/);
    });

    test(`${name}: required and named calls`, async () => {
      for (const tool_choice of ['required', { name: 'weather' }, { name: 'now' }] as const) {
        const answer = await ask({
          ...reasons,
          ...kwargs,
          tools: [weather, now],
          tool_choice,
          parallel_tool_calls: false,
        });
        assert.deepEqual([answer.reasoning, answer.content, answer.calls.length], [thought, '', 1]);
        assert.equal(answer.finishReason, 'tool_calls');
        const [call] = answer.calls;
        if (typeof tool_choice === 'object') assert.equal(call!.name, tool_choice.name);
        if (call!.name === 'weather') checkFields(call!.arguments);
        else assert.equal(call!.arguments, '{}');
      }
    });

    test(`${name}: cut off within the reasoning`, async () => {
      const answer = await ask({ ...reasons, ...kwargs, ...json, max_tokens: 6 });
      assert.match(answer.reasoning, /^o{5,6}$/);
      assert.deepEqual([answer.content, answer.finishReason, answer.completionTokens], ['', 'length', 6]);
    });

    test(`${name}: without separate reasoning, which the answer's form needs`, async () => {
      const answer = await ask({ ...reasons, ...kwargs, ...json, separate_reasoning: false });
      assert.equal(answer.reasoning, thought);
      checkFields(answer.content);
    });

    test(`${name}: a stop string that starts as the mark ends`, async () => {
      // The character is held back, so the reader learns that reasoning has ended one token later than the grammar must.
      const logit_bias = { ...reasons.logit_bias, [code('z')]: 35 };
      const answer = await ask({ ...reasons, ...kwargs, ...json, logit_bias, stop: ['>x'] });
      assert.equal(answer.reasoning, thought);
      checkFields(answer.content);
    });

    test(`${name}: line ends around reasoning are a part of neither`, async () => {
      const logit_bias = { ...reasons.logit_bias, [code('\n')]: 39 };
      const answer = await ask({ ...reasons, ...kwargs, ...json, logit_bias });
      assert.equal(answer.reasoning, thought);
      checkFields(answer.content);
      // The two that are allowed at each place, or the model would write nothing else.
      const lineEnds = answer.pieces.filter(({ tokenId }) => tokenId === code('\n'));
      assert.equal(lineEnds.length, kwargs === may ? 4 : 2);
    });
  }

  test('each token has its log-probability, and its place in the stream', async () => {
    const answer = await ask({ ...reasons, ...may, ...json, logprobs: 1 });
    assert.equal(answer.pieces.filter(({ likely }) => likely).length, answer.completionTokens);
    const lastThought = answer.pieces.findLastIndex(({ reasoning }) => reasoning);
    const firstContent = answer.pieces.findIndex(({ text }) => text !== '');
    assert.ok(lastThought > LENGTH / 2 && lastThought < firstContent);
  });

  test('is the same in the layout of a GPU, where the graph chooses tokens', async () => {
    for (const [, kwargs] of prompts) {
      const request = { ...reasons, ...kwargs, ...json, temperature: 1, seed: 5 };
      const expected = await ask(request);
      const found = await layingOutFor('gpu', async () => {
        const generator = await Generator.open({ base: base(), context: 256, baseDtype: 'fp32' });
        try {
          return await answerOf(generator, request);
        } finally {
          await generator.close();
        }
      });
      const idsOf = ({ pieces }: Answer) => pieces.map(({ tokenId }) => tokenId);
      assert.deepEqual(idsOf(found), idsOf(expected));
      assert.equal(found.reasoning, expected.reasoning);
    }
  });

  test('is the same beside others, which keep to their own grammars', async () => {
    const request = { ...reasons, ...may, ...json, temperature: 1, seed: 3 };
    const alone = await ask(request);
    const plain: GenerateRequest = { ...json, temperature: 1, seed: 4 };
    const [beside, constrained, free] = await Promise.all([
      ask(request),
      ask(plain),
      ask({ ...reasons, ...open, logit_bias: { ...reasons.logit_bias, 257: -100 }, max_tokens: 20 }),
    ]);
    assert.deepEqual([beside.reasoning, beside.content], [alone.reasoning, alone.content]);
    checkFields(constrained.content);
    assert.ok(free.reasoning.startsWith(thought));
  });
});

describe('a constrained answer without reasoning', () => {
  const { ask } = opened();

  test('starts at once if the model opens none', async () => {
    const logit_bias = { [OPEN]: -100, [code('<')]: -100 };
    for (let seed = 0; seed < 4; seed++) {
      const answer = await ask({ ...may, ...json, logit_bias, temperature: 1.5, seed });
      assert.equal(answer.reasoning, '');
      checkFields(answer.content);
    }
    const spaced = await ask({ ...may, ...json, logit_bias: { ...logit_bias, [code('\n')]: 50 } });
    assert.match(spaced.pieces.map(({ tokenId }) => tokenId).join(), /^10,10,123,/);
    assert.match(spaced.content, /^\{/);
  });

  test('starts at once if the prompt closes it', async () => {
    const answer = await ask({ ...reasons, ...json });
    assert.equal(answer.reasoning, '');
    checkFields(answer.content);
  });
});

describe('marks of several tokens', () => {
  const added = ['<thi', 'nk>{', 'nk>', '</thi', 'nk>x', 'nk> \n'];
  const [start, overOpen, end, close, overClose, spaces] = added.map((_, i) => 260 + i) as [
    number,
    ...number[],
  ];
  const { ask } = opened(added);

  for (const [name, kwargs] of prompts)
    test(`${name}: no token has a mark's end and the next part`, async () => {
      const logit_bias = { [start]: 30, [overOpen!]: 100, [overClose!]: 99, [close!]: 98.5, [end!]: 97.5 };
      const request = { ...kwargs, ...json, logit_bias, frequency_penalty: 2 };
      const answer = await ask(request);
      assert.match(answer.reasoning, /^nk>\{nk>x(<\/thi)*$/);
      checkFields(answer.content);
      assert.equal(answer.finishReason, 'stop');
      const spaced = await ask({ ...request, logit_bias: { ...logit_bias, [spaces!]: 98 } });
      assert.ok(spaced.pieces.some(({ tokenId }) => tokenId === spaces));
      checkFields(spaced.content);
    });
});
