/**
 * Measures how fast an upload's rows are read from each kind of file: the same questions and answers as JSON lines, CSV, a JSON array and
 * Parquet. Prints the time relative to JSON lines, and the peak memory.
 *
 * usage: file-kinds.ts [megabytes of JSON lines]
 */
import { createWriteStream, statSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { checkDataFile } from '@graft/peft-core/examples';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import { Random } from '../../packages/peft-core/src/random.ts';
import { answer, readPlan, runForResult, typeScript } from '../../scripts/measuring/processes.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';

const [megabytes = '200'] = process.argv.slice(2);
const groupRows = 20_000;
const words =
  'the quick brown fox jumps over a lazy dog, which "barks" and then runs off to find its bone\nunder oak trees'.split(
    ' ',
  );
const columns = ['prompt', 'completion'] as const;
type Row = Record<(typeof columns)[number], string>;

/** Rows of 30 to 90 words each, until their JSON lines have that many megabytes. */
function* rows(): Generator<Row> {
  const random = new Random(1, 'order');
  const phrase = () =>
    Array.from({ length: 30 + random.integer(60) }, () => words[random.integer(words.length)]).join(' ');
  for (let done = 0; done < Number(megabytes) * 1e6; ) {
    const row = { prompt: phrase(), completion: phrase() };
    done += JSON.stringify(row).length + 1;
    yield row;
  }
}

const text = (start: string, each: (row: Row, i: number) => string, end = '') =>
  async function write(file: string): Promise<void> {
    function* pieces() {
      yield start;
      let i = 0;
      for (const row of rows()) yield each(row, i++);
      yield end;
    }
    await pipeline(Readable.from(pieces()), createWriteStream(file));
  };

const quoted = (cell: string) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

function writeParquet(file: string): void {
  const column = { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' } as const;
  const schema = [
    { name: 'root', num_children: columns.length },
    ...columns.map((name) => ({ name, ...column })),
  ];
  const writer = new ParquetWriter({ writer: fileWriter(file), schema });
  let group: Row[] = [];
  const flush = () => {
    writer.write({ columnData: columns.map((name) => ({ name, data: group.map((row) => row[name]) })) });
    group = [];
  };
  for (const row of rows()) if (group.push(row) === groupRows) flush();
  if (group.length > 0) flush();
  writer.finish();
}

const kinds: Record<string, (file: string) => Promise<void> | void> = {
  'lines.jsonl': text('', (row) => `${JSON.stringify(row)}\n`),
  'table.csv': text('prompt,completion\n', (row) => `${quoted(row.prompt)},${quoted(row.completion)}\n`),
  'array.json': text('[', (row, i) => `${i === 0 ? '' : ',\n'}${JSON.stringify(row)}`, ']'),
  'table.parquet': writeParquet,
};

interface Read {
  examples: number;
  /** CPU time. */
  seconds: number;
  peakBytes: number;
}

if (megabytes === 'read') {
  const file = await readPlan<string>();
  const start = process.cpuUsage();
  const { examples } = await checkDataFile(file);
  const { user, system } = process.cpuUsage(start);
  answer({ examples, seconds: (user + system) / 1e6, peakBytes: process.resourceUsage().maxRSS * 1024 });
  process.exit();
}
const folder = scratchFolder('file-kinds');
let first = 0;
for (const [name, write] of Object.entries(kinds)) {
  const file = path.join(folder, name);
  await write(file);
  const program = typeScript(import.meta.filename, {}, ['read']);
  const { examples, seconds, peakBytes } = await runForResult<Read>(program, file);
  first ||= seconds;
  const size = `${(statSync(file).size / 1e6).toFixed(0)} MB, ${examples} rows`;
  const took = `${seconds.toFixed(2)} s of CPU time, ${(seconds / first).toFixed(2)} × JSON lines`;
  console.log(`${name.padEnd(14)} ${size}: ${took}; ${(peakBytes / 1e6).toFixed(0)} MB peak memory`);
}
