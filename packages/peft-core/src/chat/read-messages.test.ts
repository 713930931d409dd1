import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConversation } from './read-messages.ts';

const tools = [
  {
    type: 'function',
    function: { name: 'weather', description: 'Weather of a city', parameters: { type: 'object' } },
  },
  { type: 'function', function: { name: 'time' } },
];
const user = { role: 'user', content: 'Rain in Ulm?' };
const call = (args: unknown = '{"city": "Ulm"}', name = 'weather', id: string | null = 'call_1') => ({
  id,
  type: 'function',
  function: { name, arguments: args },
});
const calling = { role: 'assistant', content: null, tool_calls: [call()] };
const result = { role: 'tool', tool_call_id: 'call_1', content: '{"rain": true}' };
const last = { role: 'assistant', content: 'Yes.' };

const faultOf = (line: Record<string, unknown>): string => {
  const read = readConversation(line);
  assert.equal(typeof read, 'string', JSON.stringify(read));
  return read as string;
};
const faultOfMessages = (...messages: unknown[]) => faultOf({ messages, tools });

test('calls have their arguments as an object, and a message without content has null', () => {
  assert.deepEqual(
    readConversation({ messages: [user, calling, result, last], tools, parallel_tool_calls: true }),
    {
      messages: [
        user,
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: 'call_1', type: 'function', function: { name: 'weather', arguments: { city: 'Ulm' } } },
          ],
        },
        { role: 'tool', content: '{"rain": true}', tool_call_id: 'call_1' },
        last,
      ],
      tools,
    },
  );
});

test('arguments may be an object, or absent; ids may be missing', () => {
  const { id: _, ...withoutId } = call({ city: 'Ulm' });
  const bare = { function: { name: 'time' } };
  const read = readConversation({
    messages: [
      user,
      { role: 'assistant', tool_calls: [withoutId, bare] },
      { role: 'tool', content: 'a' },
      last,
    ],
    tools,
  });
  assert.ok(typeof read !== 'string', String(read));
  assert.deepEqual(read.messages[1]!.tool_calls, [
    { type: 'function', function: { name: 'weather', arguments: { city: 'Ulm' } } },
    { type: 'function', function: { name: 'time', arguments: {} } },
  ]);
});

test('what OpenAI sends empty is ignored, and text parts are joined', () => {
  const parts = [
    { type: 'text', text: 'Rain in ' },
    { type: 'text', text: 'Ulm?' },
  ];
  const empty = {
    refusal: null,
    audio: null,
    function_call: null,
    annotations: [],
    tool_calls: [],
    name: null,
  };
  const read = readConversation({
    messages: [
      { role: 'user', content: parts, name: null, weight: null },
      { ...last, ...empty, reasoning_content: null },
    ],
    tools: null,
  });
  assert.deepEqual(read, { messages: [user, last] });
});

for (const field of ['reasoning_content', 'thinking', 'reasoning'])
  test(`${field} is the reasoning`, () => {
    const read = readConversation({ messages: [user, { ...last, [field]: 'It rained.' }] });
    assert.deepEqual(read, { messages: [user, { ...last, reasoning: 'It rained.' }] });
  });

test('an empty text is no reasoning, and plain messages may have fields that are null', () => {
  const given = { ...last, reasoning_content: '', reasoning: 'It rained.' };
  assert.deepEqual(readConversation({ messages: [{ ...user, name: null, thinking: '' }, given] }), {
    messages: [user, { ...last, reasoning: 'It rained.' }],
  });
  assert.deepEqual(readConversation({ messages: [{ ...user, name: null }, last] }), {
    messages: [user, last],
  });
});

test('a plain message is used as it is, with any weight from 0 to 10', () => {
  const weighted = { ...last, weight: 2.5 };
  assert.deepEqual(readConversation({ messages: [user, weighted] }), { messages: [user, weighted] });
  assert.match(
    faultOf({ messages: [user, { ...last, weight: 10.1 }] }),
    /weight 10.1; it must be a number from 0 to 10/,
  );
  assert.match(
    faultOf({ messages: [{ ...user, weight: 1 }, last] }),
    /messages\[0\] has a weight; only assistant/,
  );
  assert.match(faultOf({ messages: [user, { ...last, weight: 0 }] }), /no assistant message to train on/);
});

/** An object of this many levels. */
const nested = (levels: number): object => (levels === 1 ? {} : { a: nested(levels - 1) });

test('arguments at the limits are the same as an object and as text', () => {
  const most = { city: Array(9_996).fill(0), country: { text: '__proto__' } };
  for (const args of [nested(32), most])
    for (const given of [args, JSON.stringify(args)]) {
      const read = readConversation({
        messages: [user, { ...calling, tool_calls: [call(given)] }, result, last],
        tools,
      });
      assert.ok(typeof read !== 'string', String(read));
      assert.deepEqual(read.messages[1]!.tool_calls![0]!.function.arguments, args);
    }
});

const faults: [fault: RegExp, messages: unknown[]][] = [
  [
    /messages\[1\] tool_calls\[0\]\.function\.arguments must be JSON, but has an early end at position 9/,
    [user, { ...calling, tool_calls: [call('{"city":')] }],
  ],
  [/arguments must be the JSON text of an object, got "3"/, [user, { ...calling, tool_calls: [call('3')] }]],
  [/arguments must nest at most 32 levels/, [user, { ...calling, tool_calls: [call('['.repeat(1e5))] }]],
  [/arguments must nest at most 32 levels/, [user, { ...calling, tool_calls: [call(nested(33))] }]],
  [
    /arguments must have at most 10,000 values/,
    [user, { ...calling, tool_calls: [call(JSON.stringify({ city: Array(10_001).fill(0) }))] }],
  ],
  [
    /arguments must have at most 10,000 values/,
    [user, { ...calling, tool_calls: [call({ city: Array(10_001).fill(0) })] }],
  ],
  [
    /arguments must not have the name "__proto__"/,
    [user, { ...calling, tool_calls: [call('{"city": {"\\u005f_proto__": 1}}')] }],
  ],
  [
    /arguments must not have the name "__proto__"/,
    [user, { ...calling, tool_calls: [call(JSON.parse('{"__proto__": 1}'))] }],
  ],
  [
    /calls "wether", which "tools" does not declare; did you mean "weather"\?/,
    [user, { ...calling, tool_calls: [call('{}', 'wether')] }],
  ],
  [
    /tool_calls\[0\] has type "code"; it must be "function"/,
    [user, { ...calling, tool_calls: [{ ...call(), type: 'code' }] }],
  ],
  [
    /must be a name of 1 to 128 letters, .*, got "a b"/,
    [user, { ...calling, tool_calls: [call('{}', 'a b')] }],
  ],
  [/has 129 tool_calls; the limit is 128/, [user, { ...calling, tool_calls: Array(129).fill(call()) }]],
  [/messages\[1\]\.tool_call_id answers no call; a tool message must follow/, [user, result, last]],
  [/messages\[3\]\.tool_call_id answers no call/, [user, calling, result, result, last]],
  [
    /tool_call_id is "call_2"; calls .* that have no answer yet are "call_1"/,
    [user, calling, { ...result, tool_call_id: 'call_2' }],
  ],
  [/messages\[0\] has a tool_call_id; only tool messages do/, [{ ...user, tool_call_id: 'a' }, last]],
  [/messages\[0\] has tool_calls; only assistant messages do/, [{ ...user, tool_calls: [call()] }, last]],
  [
    /messages\[0\]\.reasoning is only for messages with the role "assistant"/,
    [{ ...user, reasoning: 'a' }, last],
  ],
  [
    /messages\[1\]\.reasoning differs from "thinking"; keep one/,
    [user, { ...last, reasoning: 'a', thinking: 'b' }],
  ],
  [/content null; without tool_calls it must be a string/, [user, { role: 'assistant', content: null }]],
  [
    /has an image in content\[0\]; Graft reads only text: remove it, or describe it in words/,
    [{ role: 'user', content: [{ type: 'image_url' }] }, last],
  ],
  [
    /content\[0\] with type "thinking"; parts must be/,
    [{ role: 'user', content: [{ type: 'thinking' }] }, last],
  ],
  [/has "function_call", which "tool_calls" replaced/, [user, { ...last, function_call: { name: 'a' } }]],
  [/has a "refusal", which is not supported/, [user, { ...last, refusal: 'No.' }]],
  [/unknown field "tool_call"; did you mean "tool_calls"\?/, [user, { ...last, tool_call: [] }]],
  [
    /has role "function"; roles are system, developer, user, assistant, tool/,
    [{ role: 'function', content: 'a' }, last],
  ],
];
for (const [fault, messages] of faults)
  test(`refuses ${fault.source}`, () => assert.match(faultOfMessages(...messages), fault));

test('a call without declared tools, two calls where one is allowed, and faulty tools', () => {
  assert.match(
    faultOf({ messages: [user, calling] }),
    /calls "weather", but no tools are declared; add "tools"/,
  );
  const two = { ...calling, tool_calls: [call(), call('{}', 'time', 'call_2')] };
  assert.match(
    faultOf({ messages: [user, two], tools, parallel_tool_calls: false }),
    /has 2 tool_calls, though/,
  );
  const withTools = (given: unknown) => faultOf({ messages: [user, last], tools: given });
  assert.match(withTools({}), /"tools" must be a list or its JSON text, got \{\}/);
  assert.match(
    withTools([{ function: { name: 'weather' } }]),
    /tools\[0\].type must be "function", got undefined/,
  );
  assert.match(
    withTools([tools[1], tools[1]]),
    /tools\[1\].function.name must differ from those of other tools, got "time" twice/,
  );
  assert.match(
    withTools([{ type: 'function', function: { name: 'a', parameters: [] } }]),
    /parameters .*a JSON schema/,
  );
  assert.match(withTools(Array(129).fill(tools[0])), /"tools" must be at most 128 tools, got 129/);
});
