/** Tables of docs/files.md, generated from the code by `node --import tsx scripts/formats/main.ts`. */
import path from 'node:path';
import { containers } from '../../packages/peft-core/src/examples/containers/containers.ts';
import { formats } from '../../packages/peft-core/src/examples/formats/formats.ts';
import { readLine } from '../../packages/peft-core/src/examples/read-line.ts';
import { shapes } from '../../packages/peft-core/src/examples/shapes/shapes.ts';
import { publicRows } from '../../packages/peft-core/src/examples/shapes/testing/public-rows.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { plainTable } from '../methods/markdown-table.ts';

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

export function containerTable(): string {
  const rows = containers.map(({ name, title, recognised, unit, sample }) => [
    `\`${name}\``,
    title,
    recognised,
    unit,
    `\`${sample}\``,
  ]);
  return plainTable(['kind', 'is', 'recognised by', 'messages count', 'begins, for example'], rows);
}

/** A row for each shape of rows, with the format that its example becomes. */
export function shapeTable(): string {
  const rows = shapes.map(({ name, title, columns, sample, convert }) => {
    const example = readLine(convert(JSON.parse(sample)), 1);
    if (typeof example === 'string') throw new Error(`${name}: ${example}`);
    return [
      `\`${name}\``,
      title,
      columns.map((column) => `\`${column}\``).join(', '),
      `\`${sample}\``,
      `\`${example.format}\``,
    ];
  });
  return plainTable(['shape', 'is', 'columns', 'for example', 'becomes'], rows);
}

/** A row for each public data set whose columns a test reads. */
export function publicTable(): string {
  const named = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');
  const rows = publicRows.map(({ source, row, readAs, unread }) => [
    source,
    named(Object.keys(row).filter((name) => row[name] !== null && !unread.includes(name))),
    `\`${readAs}\``,
    named(unread),
  ]);
  return plainTable(['rows of', 'columns', 'read as', 'not read'], rows);
}

if (process.argv[1] === import.meta.filename) {
  const page = path.join(import.meta.dirname, '../../docs/files.md');
  await replaceSection(page, 'formats', formatTable());
  await replaceSection(page, 'containers', containerTable());
  await replaceSection(page, 'shapes', shapeTable());
  await replaceSection(page, 'public', publicTable());
}
