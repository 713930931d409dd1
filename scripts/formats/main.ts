/** What docs/files.md takes from the code. `node --import tsx scripts/formats/main.ts` writes it there. */
import path from 'node:path';
import { formats } from '../../packages/peft-core/src/examples/formats/formats.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { plainTable } from '../methods/markdown-table.ts';

/** A row for each format of training data. */
export function formatTable(): string {
  const rows = formats.map(({ name, title, sample, tasks }) => [
    `\`${name}\``,
    title,
    `\`${sample}\``,
    tasks.map((task) => `\`${task}\``).join(', '),
  ]);
  const header = ['format', 'a line is', 'for example', 'for `task_type`'];
  return plainTable(header, rows);
}

if (process.argv[1] === import.meta.filename)
  await replaceSection(path.join(import.meta.dirname, '../../docs/files.md'), 'formats', formatTable());
