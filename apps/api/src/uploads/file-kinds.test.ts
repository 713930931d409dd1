// Uploads of every kind of file: stored unchanged, recognised, mapped, and read by reports and jobs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { assertError } from '../testing/assert-error.ts';
import { type Answer, type ApiBench, openApiBench, uploadForm } from '../testing/open-api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

const rows = Array.from({ length: 300 }, (_, i) => ({
  prompt: `question ${i}, "quoted"`,
  completion: ` ${i}`,
}));
const lines = rows.map((row) => JSON.stringify(row)).join('\n');
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
const csv = (names = ['prompt', 'completion']) =>
  [names.join(), ...rows.map((row) => `${quoted(row.prompt)},${quoted(row.completion)}`)].join('\r\n');
const parquet = (names = ['prompt', 'completion']) =>
  Buffer.from(
    parquetWriteBuffer({
      columnData: [
        { name: names[0]!, data: rows.map(({ prompt }) => prompt) },
        { name: names[1]!, data: rows.map(({ completion }) => completion) },
      ],
    }),
  );

function form(content: string | Buffer, columns?: object): FormData {
  const data = new FormData();
  data.set('purpose', 'fine-tune');
  if (columns) data.set('columns', JSON.stringify(columns));
  data.set('file', new Blob([Uint8Array.from(Buffer.from(content))]), 'data');
  return data;
}
const upload = (content: string | Buffer, columns?: object): Promise<Answer> =>
  bench.acme.send('POST', '/v1/files', form(content, columns));

async function reportOf(id: string, query = ''): Promise<Answer['json']> {
  for (;;) {
    const { json } = await bench.acme.send('GET', `/v1/files/${id}/report?model=tiny${query}`);
    if (json.status !== 'running') return json;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('the same rows in every kind of file are the same examples, and are stored unchanged', async () => {
  const files: [kind: string, compression: string | null, content: string | Buffer][] = [
    ['jsonl', null, lines],
    ['json', null, JSON.stringify(rows, null, 1)],
    ['csv', null, `\ufeff${csv()}`],
    ['csv', 'gzip', gzipSync(csv())],
    [
      'tsv',
      null,
      `prompt\tcompletion\n${rows.map((row) => `${quoted(row.prompt)}\t${quoted(row.completion)}`).join('\n')}`,
    ],
    ['parquet', null, parquet()],
  ];
  let tokens: unknown;
  for (const [kind, compression, content] of files) {
    const { status, text, json } = await upload(content);
    assert.equal(status, 200, text);
    assert.deepEqual([json.format, json.examples, json.columns], ['prompt_completion', 300, null]);
    const stored = await fetch(`${bench.url}/v1/files/${json.id}/content`, {
      headers: { authorization: `Bearer ${bench.acme.key}` },
    });
    assert.ok(Buffer.from(await stored.arrayBuffer()).equals(Buffer.from(content)), kind);
    const { report, error } = await reportOf(json.id);
    assert.equal(error, null);
    assert.deepEqual(report.recognised, { kind, compression, shape: null, columns: null });
    const { preview: _, longest, ...more } = report.tokens;
    // The first line of a table is its header.
    const counts = { ...more, longest: longest.map((each: { tokens: number }) => each.tokens) };
    tokens ??= counts;
    assert.deepEqual(counts, tokens, kind);
  }
});

test('a mapping given with the upload stays with the file, for reports and jobs', async () => {
  const names = ['frage', 'antwort'];
  const columns = { prompt: 'frage', completion: 'antwort' };
  for (const content of [csv(names), parquet(names)]) {
    assertError(await upload(content), 400, 'unknown_shape', 'file');
    assertError(await upload(content, { prompt: 'Frage' }), 400, 'invalid_columns', 'columns');
    const { status, text, json } = await upload(content, columns);
    assert.equal(status, 200, text);
    assert.deepEqual([json.format, json.columns], ['prompt_completion', columns]);
    const { report } = await reportOf(json.id);
    assert.deepEqual(report.recognised.columns, columns);
    const other = await reportOf(json.id, `&columns=${encodeURIComponent('{"text":"antwort"}')}`);
    assert.deepEqual([other.report.format, other.report.examples], ['text', 300]);
    const body = { model: 'tiny', training_file: json.id, training: { n_epochs: 1 } };
    const job = await bench.acme.send('POST', '/v1/fine_tuning/jobs', body);
    assert.equal(job.status, 200, job.text);
    await bench.untilState(job.json.id, 'queued');
    const checked = (await bench.acme.send('GET', `/v1/fine_tuning/jobs/${job.json.id}`)).json;
    assert.deepEqual(checked.training.columns, columns);
    assert.equal(checked.data.training.examples, 300);
  }
  const late = form(csv(names));
  late.append('columns', JSON.stringify(columns));
  assertError(await bench.acme.send('POST', '/v1/files', late), 400, 'unknown_shape', 'file');
});

test('parts become a Parquet file with a mapping', async () => {
  const content = parquet(['q', 'a']);
  const { acme } = bench;
  const about = {
    filename: 'x.parquet',
    bytes: content.length,
    purpose: 'fine-tune',
    mime_type: 'application/x',
  };
  const { json: created } = await acme.send('POST', '/v1/uploads', about);
  const part_ids: string[] = [];
  for (const piece of [content.subarray(0, 1000), content.subarray(1000)]) {
    const data = new FormData();
    data.set('data', new Blob([Uint8Array.from(piece)]), 'part');
    part_ids.push((await acme.send('POST', `/v1/uploads/${created.id}/parts`, data)).json.id);
  }
  const complete = (body: object) =>
    acme.send('POST', `/v1/uploads/${created.id}/complete`, { part_ids, ...body });
  assertError(await complete({}), 400, 'unknown_shape', 'file');
  assertError(await complete({ columns: {} }), 400, 'invalid_columns', 'columns');
  const done = await complete({ columns: { prompt: 'q', completion: 'a' } });
  assert.equal(done.status, 200, done.text);
  assert.deepEqual(
    [done.json.file.examples, done.json.file.columns],
    [300, { prompt: 'q', completion: 'a' }],
  );
});

test('a hostile Parquet file is refused while another team uploads', async () => {
  const damaged = parquet();
  damaged.fill(0xff, 40, 400);
  const [bad, good] = await Promise.all([
    upload(damaged),
    bench.other.send('POST', '/v1/files', uploadForm(lines)),
  ]);
  assertError(bad, 400, 'invalid_jsonl', 'file');
  assert.equal(good.status, 200);
});
