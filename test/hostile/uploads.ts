import type { HostileRequest } from './request.ts';

const boundary = 'hostile';
const purpose = part('form-data; name="purpose"', 'fine-tune');
const end = `--${boundary}--\r\n`;

function part(disposition: string, content: string): string {
  return `--${boundary}\r\nContent-Disposition: ${disposition}\r\n\r\n${content}\r\n`;
}

const file = (content: string, name = 'train.jsonl') =>
  part(`form-data; name="file"; filename="${name}"`, content);
const good = '{"text":"a"}\n';

/** Lines that are not valid examples. */
const lines = [
  '{',
  '[]',
  '7',
  'null',
  '"x"',
  '{}',
  '{"text":7}',
  '{"text":""}',
  '{"text":null}',
  '{"messages":[]}',
  '{"messages":{}}',
  '{"messages":[7]}',
  '{"messages":[{}]}',
  '{"messages":[{"role":"x","content":"a"}]}',
  '{"messages":[{"role":"user","content":"a"}]}',
  '{"messages":[{"role":"assistant","content":""}]}',
  '{"messages":[{"role":"assistant","content":7}]}',
  '{"prompt":"a"}',
  '{"messages":[{"role":"assistant","content":"a","x":1}]}',
  '{"messages":[{"role":"user","weight":1,"content":"a"}]}',
  '{"prompt":7,"completion":"a"}',
  '{"prompt":"a","completion":""}',
  '{"text":"a","messages":[]}',
  '{"tools":7,"messages":[{"role":"assistant","content":"a"}]}',
  '{"text":"a","label":-1}',
  '{"text":"a","label":1e400}',
  '{"text":"a","label":"x\\u0000"}',
  '{"text":"a","label":1,"target":"b"}',
  '{"tokens":[],"labels":[]}',
  '{"tokens":["a"],"labels":[]}',
  '{"tokens":["a"],"labels":[-1]}',
  '{"tokens":["a"],"labels":["\\ud800"]}',
  '{"anchor":"a"}',
  '{"anchor":"a","positive":7}',
  '{"sentence1":"a","sentence2":"b","score":2}',
  '{"sentence1":"a","score":1e400}',
  '{"text":"\\ud800"}',
  '{"text":"\\udc00x"}',
  '{"prompt":"\\udfff","completion":"b"}',
  '{"messages":[{"role":"assistant","content":"\\ud800"}]}',
  '{"text":"a"}}',
  '{"text":"a" "b"}',
  '\ufeff{"text":"a"',
  '{"text":"\t"}',
  '{"text":01}',
  '{"__proto__":{"text":"a"}}',
  'NaN',
  ...['[', '{"text":', '{"messages":'].map((start) => start + '['.repeat(30_000)),
];

/** Multipart bodies with invalid structure or invalid files. */
export function hostileUploads(draw: () => number): HostileRequest[] {
  const send = (
    name: string,
    body: string | Uint8Array<ArrayBuffer>,
    field: string | null = null,
  ): HostileRequest => ({
    name: `upload: ${name}`,
    method: 'POST',
    path: '/v1/files',
    body,
    field,
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
  });
  const whole = purpose + file(good) + end;
  const binary = (bytes: Uint8Array) => {
    const head = Buffer.from(
      `${purpose}--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n`,
    );
    return new Uint8Array(Buffer.concat([head, bytes, Buffer.from(`\r\n${end}`)]));
  };
  const noise = Uint8Array.from({ length: 5000 }, () => Math.floor(draw() * 256));
  const manyKeys = Array.from({ length: 200_000 }, (_, i) => `"k${i}":4`).join(',');
  return [
    ...lines.map((line, i) => send(`line #${i}`, purpose + file(`${good}${line}\n`) + end, 'file')),
    send('nothing', '', null),
    send('no end', purpose + file(good)),
    send('cut in a file', whole.slice(0, -30)),
    send('cut in a head', whole.slice(0, 40)),
    send('no purpose', file(good) + end, 'purpose'),
    send('no file', purpose + end, 'file'),
    send('another purpose', part('form-data; name="purpose"', 'assistants') + file(good) + end, 'purpose'),
    send(
      'a purpose with U+0000',
      part('form-data; name="purpose"', 'fine-tune\0') + file(good) + end,
      'purpose',
    ),
    send('two files', purpose + file(good) + file(good) + end, 'file'),
    send('an unknown field', purpose + part('form-data; name="x"', 'y') + file(good) + end, 'x'),
    send(
      'a file of another name',
      purpose + part('form-data; name="data"; filename="x"', good) + end,
      'data',
    ),
    send(
      'a field that expires',
      purpose + part('form-data; name="expires_after[anchor]"', 'created_at') + file(good) + end,
      'expires_after',
    ),
    send(
      'a hundred fields',
      Array.from({ length: 100 }, (_, i) => part(`form-data; name="f${i}"`, 'x')).join('') + end,
    ),
    send('a field of 100 kB', part('form-data; name="purpose"', 'x'.repeat(100_000)) + file(good) + end),
    send('a name of 10 kB', part(`form-data; name="${'x'.repeat(10_000)}"`, 'x') + end),
    send('an empty file', purpose + file('') + end, 'file'),
    send('empty lines alone', purpose + file('\n \n\r\n') + end, 'file'),
    send('two kinds of lines', purpose + file(`${good}{"prompt":"a","completion":"b"}\n`) + end, 'file'),
    send('noise', binary(noise), 'file'),
    send('UTF-16', binary(Buffer.from(good, 'utf16le')), 'file'),
    send('not UTF-8', binary(Buffer.from('{"text":"\xff"}\n', 'latin1')), 'file'),
    send('a line of 5 MB', purpose + file(`{"text":"${'a'.repeat(5_000_000)}"}\n`) + end, 'file'),
    send(
      'a line of 200,000 unknown keys',
      purpose + file(`{"messages":[{"role":"user","content":"a",${manyKeys}}]}\n`) + end,
      'file',
    ),
    send('a line two million deep', purpose + file(`{"messages":${'['.repeat(2_000_000)}\n`) + end, 'file'),
    send('200,000 bad lines', purpose + file('{}\n'.repeat(200_000)) + end, 'file'),
    { ...send('JSON', '{"purpose":"fine-tune"}'), headers: { 'content-type': 'application/json' } },
    { ...send('no boundary', whole), headers: { 'content-type': 'multipart/form-data' } },
    {
      ...send('another boundary', whole),
      headers: { 'content-type': 'multipart/form-data; boundary=other' },
    },
  ];
}
