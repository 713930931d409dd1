/** Parts of docs/exports.md that come from the code. `node --import tsx scripts/exports/format-table.ts` writes them there. */
import path from 'node:path';
import { parsePeftConfig } from '../../packages/peft-core/src/config/index.ts';
import type { ExportFormat } from '../../packages/peft-core/src/exports/export-format.ts';
import { exportFormats, parseExportOptions } from '../../packages/peft-core/src/exports/formats.ts';
import { type ArchitectureRow, architectures } from '../../test/golden/matrix/architectures.ts';
import { exceptions } from '../../test/golden/matrix/exceptions.ts';
import { type MethodRow, methods } from '../../test/golden/matrix/methods.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { joinRows, plainTable } from '../methods/markdown-table.ts';

interface OptionSchema {
  default: unknown;
  description: string;
  enum?: readonly unknown[];
}

export function formatTable(): string {
  const rows = exportFormats.map(({ name, summary, holds, runtimes }) => [
    `\`${name}\``,
    summary,
    runtimes.join(', '),
    holds,
  ]);
  return plainTable(['format', 'for', 'read by', 'holds'], rows);
}

export function optionTable(): string {
  const rows = exportFormats.flatMap(({ name, options }) =>
    Object.entries<OptionSchema>(options.properties as never).map(([option, schema]) => [
      `\`${name}\``,
      `\`${option}\``,
      `\`${JSON.stringify(schema.default)}\``,
      `${schema.description}${schema.enum ? ` One of ${schema.enum.map((value) => `\`${value}\``).join(', ')}.` : ''}`,
    ]),
  );
  return plainTable(['format', 'option', 'default', 'meaning'], joinRows(rows));
}

const header = exportFormats.map(({ name }) => `\`${name}\``);

/** Returns true if a format can hold an adapter of a row of the golden matrix, with the options' defaults. */
function isHeld(format: ExportFormat, method: MethodRow, architecture: ArchitectureRow): boolean {
  const config = parsePeftConfig({ task_type: architecture.task, ...method.config(architecture) });
  const noTensors = { names: () => [], has: () => false, info: () => ({ dtype: 'F32', shape: [] }) };
  const adapter = {
    config,
    modelConfig: { vocab_size: 320, ...architecture.config },
    tensors: noTensors,
    chatTemplate: null,
    adapterBytes: 0,
    smallFileBytes: 0,
  };
  return format.refusal(adapter, parseExportOptions(format)) === null;
}

const cell = (held: boolean) => (held ? 'yes' : '–');

/** The configurations of the golden matrix by the formats that hold them, on the first decoder. */
export function methodTable(): string {
  const architecture = architectures.find(({ task }) => task === 'CAUSAL_LM')!;
  const rows = methods
    .filter(
      (method) => !method.onExperts && exceptions[`${architecture.name} × ${method.name}`] === undefined,
    )
    .map((method) => [
      method.name,
      ...exportFormats.map((format) => cell(isHeld(format, method, architecture))),
    ]);
  return plainTable(['adapter', ...header], joinRows(rows, '; '));
}

/** The formats that hold an adapter of attention on an architecture. */
export const formatsFor = (architecture: ArchitectureRow): string[] =>
  exportFormats.filter((format) => isHeld(format, methods[0]!, architecture)).map(({ name }) => name);

if (process.argv[1] === import.meta.filename) {
  const file = path.join(import.meta.dirname, '../../docs/exports.md');
  await replaceSection(file, 'formats', formatTable());
  await replaceSection(file, 'options', optionTable());
  await replaceSection(file, 'methods', methodTable());
}
