// Archives of several files, as one file: each kind of file, in any pieces, and what is refused.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { tempFolder } from '../../testing/temp-folder.ts';
import { checkDataFile, createDataFileChecker } from '../data-file.ts';
import type { RawExample } from '../formats/formats.ts';
import { tarBytes, tarEnd, tarFilling, tarHeader } from './tar.ts';

const at = tempFolder();

const archive = (files: Record<string, Buffer>): Buffer =>
  Buffer.concat([
    ...Object.entries(files).flatMap(([name, content]) => [
      tarHeader(name, content.length),
      content,
      tarFilling(content.length),
    ]),
    tarEnd(),
  ]);
const table = (...texts: (string | null)[]) =>
  Buffer.from(
    parquetWriteBuffer({
      columnData: [
        { name: 'text', data: texts.map((text) => text ?? 'x') },
        { name: 'note', data: texts },
      ],
    }),
  );
const lines = (...texts: string[]) =>
  Buffer.from(texts.map((text) => `${JSON.stringify({ text })}\n`).join(''));

async function read(content: Buffer) {
  const examples: RawExample[] = [];
  await writeFile(at('file'), content);
  let bytes = 0;
  const onBytes = (chunk: Uint8Array) => {
    bytes += chunk.length;
  };
  const summary = await checkDataFile(at('file'), { onExample: (each) => examples.push(each), onBytes });
  assert.equal(bytes, content.length);
  const checker = createDataFileChecker();
  for (let from = 0; from < content.length; from += 700)
    await checker.write(content.subarray(from, from + 700));
  assert.deepEqual(await checker.end(), summary);
  return { ...summary, examples };
}
const faultOf = async (content: Buffer): Promise<string> =>
  await read(content).then(
    () => 'none',
    (error: Error) => error.message,
  );

test('shards of each kind are one file, whose rows are numbered through', async () => {
  const names = ['data/train-00000-of-00002', 'data/train-00001-of-00002'];
  for (const [first, second, numbers, kind] of [
    [table('a', null), table('b', 'c'), [1, 2, 3, 4], 'parquet'],
    [lines('a', 'x'), lines('b', 'c'), [1, 2, 3, 4], 'jsonl'],
    [gzipSync(lines('a', 'x')), lines('b', 'c'), [1, 2, 3, 4], 'jsonl'],
    [Buffer.from('text,id\na,1\nx,2\n'), Buffer.from('text,id\nb,3\nc,4\n'), [2, 3, 5, 6], 'csv'],
    [
      Buffer.from('[{"text":"a"},{"text":"x"}]'),
      Buffer.from('[{"text":"b"},{"text":"c"}]'),
      [1, 2, 3, 4],
      'json',
    ],
  ] as const) {
    const { examples, recognised, unread } = await read(archive({ [names[0]!]: first, [names[1]!]: second }));
    assert.deepEqual(recognised.kind, 'tar', kind);
    assert.deepEqual(
      examples.map((each) => [each.line, 'text' in each && each.text]),
      ['a', 'x', 'b', 'c'].map((text, i) => [numbers[i], text]),
      kind,
    );
    // The value of a column of Parquet that is null is none.
    if (kind === 'parquet') assert.deepEqual(unread, [{ name: 'note', values: 3 }]);
  }
});

test('the size of an archive is known before it is written', () => {
  const files = [0, 1, 511, 512, 513].map((size) => Buffer.alloc(size, 'x'));
  const whole = archive(Object.fromEntries(files.map((content, i) => [`${i}`, content])));
  assert.equal(whole.length, tarBytes(files.map(({ length }) => length)));
});

test('hidden files and directories are passed over, and what has no rows is refused', async () => {
  const shard = lines('a');
  const folder = tarHeader('data', 0);
  const changed = (header: Buffer, at: number, value: string) => {
    header.write(value, at, 'latin1');
    header.fill(0x20, 148, 156);
    const sum = header.reduce((all, byte) => all + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return header;
  };
  const whole = archive({ '._a': Buffer.from('\0\x05'), a: shard });
  assert.equal((await read(Buffer.concat([changed(folder, 156, '5'), whole]))).examples.length, 1);
  assert.match(await faultOf(archive({ '.a': shard })), /^the tar archive cannot be read: it has no files/);
  assert.match(
    await faultOf(archive({ a: shard, b: table('b') })),
    /it is Parquet, and earlier files are JSON lines/,
  );
  assert.match(await faultOf(archive({ a: shard, b: archive({ c: shard }) })), /another archive in it/);
  assert.match(
    await faultOf(archive({ a: shard, b: Buffer.from('%PDF-1') })),
    /^b: the file is a PDF document/,
  );
  assert.match(
    await faultOf(archive({ a: shard }).subarray(0, 520)),
    /a has 13 bytes, more than the archive/,
  );
  const damaged = archive({ a: shard, b: shard });
  damaged[1024 + 3]! ^= 1;
  assert.match(await faultOf(damaged), /damaged or cut off at byte 1024/);
  const link = changed(tarHeader('b', 0), 156, '2');
  assert.match(await faultOf(Buffer.concat([tarHeader('a', 0), link, tarEnd()])), /b is a link/);
  assert.match(
    await faultOf(gzipSync(archive({ a: shard }))),
    /a tar archive .* compressed with gzip; decompress it/,
  );
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`${i}`, shard]));
  assert.match(await faultOf(archive(many)), /more than 100 files/);
});
