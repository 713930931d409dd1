/**
 * How fast an upload's rows are read from each kind of file: the same questions and answers as JSON lines, CSV, a JSON array and
 * Parquet, with the share of the time that JSON lines take, and the memory at most.
 *
 * usage: file-kinds.ts [megabytes of JSON lines]
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { checkDataFile } from '@graft/peft-core/examples';
import { type ColumnSource, fileWriter, ParquetWriter } from 'hyparquet-writer';

const megabytes = Number(process.argv[2] ?? 200);
const groupRows = 20_000;
const words =
  'the quick brown fox jumps over a lazy dog, which "barks" and then runs off to find its bone\nunder oak trees'.split(
    ' ',
  );

interface Row {
  prompt: string;
  completion: string;
}

/** Rows of 30 to 90 words each, until their JSON lines have `bytes` bytes. */
function* rows(bytes: number): Generator<Row> {
  let state = 1;
  const random = (below: number) => {
    state = (Math.imul(state, 1_284_865_837) + 12_345) & 0x7fff_ffff;
    return (state >> 8) % below;
  };
  const phrase = () => Array.from({ length: 30 + random(60) }, () => words[random(words.length)]).join(' ');
  for (let done = 0; done < bytes; ) {
    const row = { prompt: phrase(), completion: phrase() };
    done += JSON.stringify(row).length + 1;
    yield row;
  }
}

async function writeText(file: string, pieces: Iterable<string>): Promise<void> {
  const out = createWriteStream(file);
  for (const piece of pieces) if (!out.write(piece)) await once(out, 'drain');
  out.end();
  await once(out, 'close');
}

function* mapped(start: string, each: (row: Row, i: number) => string, end = ''): Generator<string> {
  yield start;
  let i = 0;
  for (const row of rows(megabytes * 1e6)) yield each(row, i++);
  yield end;
}

const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function writeParquet(file: string): void {
  const schema = [
    { name: 'root', num_children: 2 },
    ...['prompt', 'completion'].map((name) => ({
      name,
      type: 'BYTE_ARRAY' as const,
      converted_type: 'UTF8' as const,
      repetition_type: 'REQUIRED' as const,
    })),
  ];
  const writer = new ParquetWriter({ writer: fileWriter(file), schema });
  let held: Row[] = [];
  const flush = () => {
    const columns = ['prompt', 'completion'] as const;
    const columnData: ColumnSource[] = columns.map((name) => ({ name, data: held.map((row) => row[name]) }));
    writer.write({ columnData });
    held = [];
  };
  for (const row of rows(megabytes * 1e6)) {
    held.push(row);
    if (held.length === groupRows) flush();
  }
  if (held.length > 0) flush();
  writer.finish();
}

const [, , , only] = process.argv;
if (only) {
  // A process for each kind, so that its memory is its own.
  const start = process.cpuUsage();
  const { examples } = await checkDataFile(only);
  const { user, system } = process.cpuUsage(start);
  console.log(
    JSON.stringify({
      examples,
      seconds: (user + system) / 1e6,
      maxRss: process.resourceUsage().maxRSS / 1024,
    }),
  );
} else {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-bench-'));
  const at = (name: string) => path.join(folder, name);
  try {
    await writeText(
      at('lines.jsonl'),
      mapped('', (row) => `${JSON.stringify(row)}\n`),
    );
    await writeText(
      at('table.csv'),
      mapped('prompt,completion\n', (row) => `${quoted(row.prompt)},${quoted(row.completion)}\n`),
    );
    await writeText(
      at('array.json'),
      mapped('[', (row, i) => `${i === 0 ? '' : ',\n'}${JSON.stringify(row)}`, ']'),
    );
    writeParquet(at('table.parquet'));
    let first = 0;
    for (const name of ['lines.jsonl', 'table.csv', 'array.json', 'table.parquet']) {
      const out = execFileSync(process.execPath, ['--import', 'tsx', import.meta.filename, '0', at(name)], {
        encoding: 'utf8',
      });
      const { examples, seconds, maxRss } = JSON.parse(out);
      first ||= seconds;
      const size = statSync(at(name)).size / 1e6;
      console.log(
        `${name.padEnd(14)} ${size.toFixed(0)} MB, ${examples} rows: ${seconds.toFixed(2)} s of the processor, ${(seconds / first).toFixed(2)} of JSON lines; ${maxRss.toFixed(0)} MB of memory at most`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
