import {
  constraints,
  type Fields,
  jobFields,
  kwargs,
  messageFields,
  notLists,
  peftFields,
  preferenceFields,
  sampling,
  trainingFields,
  unquoted,
} from './fields.ts';
import type { HostileContext, HostileRequest } from './request.ts';

const jobs = '/v1/fine_tuning/jobs';
const chat = '/v1/chat/completions';
const completions = '/v1/completions';

function fieldsOf(route: string, path: string, base: object, fields: Fields, wrap: (body: object) => object) {
  return Object.entries(fields).flatMap(([name, values]) =>
    values.map((value, i) =>
      request(`${route} ${path}${name} #${i}`, route, wrap({ ...base, [name]: value }), path + name),
    ),
  );
}

function request(name: string, path: string, body: unknown, field: string | null): HostileRequest {
  const text = typeof body === 'string' ? body : unquoted(JSON.stringify(body));
  return { name, method: 'POST', path, headers: { 'content-type': 'application/json' }, body: text, field };
}

export function hostileBodies({ model, fileId }: HostileContext, draw: () => number): HostileRequest[] {
  const job = { model, training_file: fileId };
  const message = { role: 'user', content: 'Hi' };
  const talk = { model, messages: [message] };
  const lora = { peft_type: 'LORA' };
  return [
    ...fieldsOf(jobs, '', job, jobFields, (body) => body),
    ...fieldsOf(jobs, 'peft.', lora, peftFields, (peft) => ({ ...job, peft })),
    ...fieldsOf(jobs, 'training.', {}, trainingFields, (training) => ({ ...job, training })),
    ...fieldsOf(jobs, 'training.preference.', {}, preferenceFields, (preference) => ({
      ...job,
      training: { preference },
    })),
    ...fieldsOf(
      chat,
      '',
      talk,
      {
        ...sampling,
        messages: [null, [], ...notLists, [7], [message, {}]],
        chat_template_kwargs: kwargs,
        ...constraints,
      },
      (body) => body,
    ),
    ...fieldsOf(chat, 'messages[0].', message, messageFields, (first) => ({ model, messages: [first] })),
    ...fieldsOf(
      completions,
      '',
      { model, prompt: 'a' },
      { ...sampling, prompt: [null, 7, [], [7], ['a', 'b'], '\0'] },
      (body) => body,
    ),
    ...['/v1/embeddings', '/v1/classify'].flatMap((route) =>
      fieldsOf(route, '', { model, input: 'a' }, textFields, (body) => body),
    ),
    ...broken(JSON.stringify(job), draw),
    ...large(job, model),
  ];
}

/** Values of `input` and of what embeddings have besides. */
const textFields: Fields = {
  input: [
    null,
    7,
    '',
    [],
    [[]],
    [''],
    ['a', 7],
    [[1], 'a'],
    [-1],
    [1.5],
    [2 ** 40],
    [[['a']]],
    '\0',
    Array.from({ length: 2049 }, () => 'a'),
  ],
  encoding_format: ['hex', 7, []],
  dimensions: [0, -1, 1.5, 1e9, '8'],
};

/** Invalid JSON, and JSON with unexpected content types or meaning. */
function broken(valid: string, draw: () => number): HostileRequest[] {
  const texts = [
    '{',
    '}',
    '[',
    '"',
    '{"a":1,}',
    '{"a" 1}',
    "{'a':1}",
    'null x',
    'NaN',
    '{"a":NaN}',
    '{"a":01}',
    '\u0000',
    ' ',
    '{"a":"\u0000"}',
    '{"a":"\\x"}',
    '{"__proto__":{"model":"x"}}',
    '{"constructor":{"prototype":{"x":1}}}',
    '[]',
    '"x"',
    '3',
    'null',
    'true',
    '-1e400',
    '\ufeff{}',
    '{"a":1}{"b":2}',
    '//{}',
    '{"a":undefined}',
    `{"model":"m","model":7,"training_file":"f"}`,
    ...[33, 100, 10_000, 250_000].map((depth) => `{"model":${'['.repeat(depth)}${']'.repeat(depth)}}`),
    '{"a":'.repeat(20_000),
  ];
  const cuts = Array.from({ length: 20 }, () => valid.slice(0, 1 + Math.floor(draw() * (valid.length - 1))));
  const flips = Array.from({ length: 20 }, () => {
    const bytes = Buffer.from(valid);
    // Invalid UTF-8.
    bytes[Math.floor(draw() * bytes.length)] = 0xff;
    return new Uint8Array(bytes);
  });
  return [
    ...[...texts, ...cuts].map((text, i) => request(`broken #${i}`, jobs, text, null)),
    ...flips.map((body, i) => ({ ...request(`not UTF-8 #${i}`, jobs, '', null), body })),
    ...[
      'application/xml',
      'text/plain',
      'application/json; charset=utf-16',
      'multipart/form-data',
      'x',
      'application/json-seq',
    ].map((type) => ({ ...request(`as ${type}`, jobs, '{}', null), headers: { 'content-type': type } })),
  ];
}

/** Requests that take seconds unless the number of faults, patterns and values is limited. */
function large(job: object, model: string): HostileRequest[] {
  const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 4]));
  const many = (item: string, count: number) =>
    `{"model":"${model}","messages":[${`${item},`.repeat(count)}${item}]}`;
  return [
    request('4,000 bad messages', chat, many('{"role":"x","content":1}', 4000), 'messages'),
    request('4,000 empty messages', chat, many('{}', 4000), 'messages'),
    request('a fault under a long key', jobs, { ['k'.repeat(500_000)]: '\0' }, 'kkk'),
    request('half a million zeros', chat, many('0', 450_000), null),
    request('300,000 objects', chat, many('{}', 300_000), null),
    request(
      '300,000 tools',
      chat,
      `{"model":"${model}","messages":[],"tools":[${'{},'.repeat(300_000)}{}]}`,
      null,
    ),
    request('90,000 unknown keys', jobs, { ...job, ...keys(60_000) }, null),
    request('11,000 unknown keys', jobs, { ...job, ...keys(11_000) }, 'k0'),
    request(
      '11,000 unknown options',
      jobs,
      { ...job, peft: { peft_type: 'LORA', ...keys(11_000) } },
      'peft.k0',
    ),
    request('11,000 unknown training options', jobs, { ...job, training: keys(11_000) }, 'training.k0'),
    request('a key of 900 kB', jobs, { ...job, ['k'.repeat(900_000)]: 1 }, 'k'),
    request('a model of 900 kB', chat, { model: 'm'.repeat(900_000), messages: [] }, 'm'),
    request(
      'a body of 2 MB',
      chat,
      { model, messages: [{ role: 'user', content: 'x'.repeat(2_000_000) }] },
      null,
    ),
    request(
      '11,000 tokens',
      jobs,
      {
        ...job,
        peft: { peft_type: 'LORA', trainable_token_indices: Array.from({ length: 11_000 }, (_, i) => i) },
      },
      'peft.trainable_token_indices',
    ),
  ];
}
