// Rows of public data sets: what the report of a file shows of them is what they mean, and what is trained on.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { loadTokenizer } from '../../text/index.ts';
import { createExampleReporter } from '../report/report-examples.ts';
import { publicRows, TEMPLATE } from './testing/public-rows.ts';

const at = tempFolder();
await writeTinyModel(at('model'));
const readJson = (name: string) => JSON.parse(readFileSync(at('model', name), 'utf8'));
const model = {
  tokenizer: loadTokenizer({
    tokenizerJson: readJson('tokenizer.json'),
    tokenizerConfig: readJson('tokenizer_config.json'),
    chatTemplate: TEMPLATE,
  }),
  config: readJson('config.json'),
  maxSeqLength: 200,
};

function contentOf(row: Record<string, unknown>, isCsv: boolean): string {
  if (!isCsv) return `${JSON.stringify(row)}\n`;
  const cells = [Object.keys(row), Object.values(row)];
  return cells.map((line) => `${line.map((cell) => `"${cell}"`).join(',')}\n`).join('');
}

assert.ok(publicRows.length >= 20);
for (const { source, row, isCsv = false, readAs, sequences, unread } of publicRows)
  test(`rows of ${source} are read as their owners mean`, async () => {
    const reporter = createExampleReporter(model);
    await reporter.write(Buffer.from(contentOf(row, isCsv)));
    const report = await reporter.end();
    assert.deepEqual(report.bad_lines.listed, []);
    assert.equal(report.recognised!.shape ?? report.format, readAs);
    const shown = report.tokens!.preview[0]!.sequences.map(({ tokens }) =>
      tokens
        .map(({ text, learnt }) => (learnt ? `«${text}»` : text))
        .join('')
        .replaceAll('»«', ''),
    );
    assert.deepEqual(shown, sequences);
    assert.deepEqual(
      report.unread_columns,
      unread.map((name) => ({ name, values: 1 })),
    );
  });
