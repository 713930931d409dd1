import type { TSchema } from 'typebox';
import { GraftError } from '../errors.ts';
import { checkFields, throwFaults } from '../schema/check-fields.ts';
import { nearest } from '../schema/nearest.ts';
import type { ExportedAdapter, ExportFormat } from './export-format.ts';
import { gguf } from './gguf/format.ts';
import { ggufAdapter } from './gguf-lora/format.ts';
import { merged } from './merged/format.ts';
import { mlx } from './mlx/format.ts';
import { ollama } from './ollama/format.ts';
import { peft } from './peft/format.ts';

/** Every export format, by name; `writers.ts` has the same rows. Loads no TensorFlow. */
const rows = { merged, peft, gguf, 'gguf-lora': ggufAdapter, mlx, ollama };

export type ExportFormatName = keyof typeof rows;

export const exportFormats: readonly ExportFormat[] = Object.values(rows) as unknown as ExportFormat[];

export const exportFormatNames = Object.keys(rows) as ExportFormatName[];

/** Throws `unknown_export_format`, which lists the formats. */
export function exportFormat(name: string): ExportFormat & { name: ExportFormatName } {
  const format = exportFormats.find((each) => each.name === name);
  if (format) return format as ExportFormat & { name: ExportFormatName };
  const [near] = nearest(name, exportFormatNames);
  const hint = near ? `; did you mean ${near}?` : '';
  throw new GraftError(
    'unknown_export_format',
    `format: there is no export format ${JSON.stringify(name.slice(0, 100))}; the formats are ${exportFormatNames.join(', ')}${hint}`,
    { param: 'format' },
  );
}

/** A format's options with defaults filled in. Throws `invalid_export_option`, which names every wrong option. */
export function parseExportOptions(
  { name, options }: Pick<ExportFormat, 'name' | 'options'>,
  given: Record<string, unknown> = {},
  usual: Record<string, unknown> = {},
): Record<string, unknown> {
  const code = 'invalid_export_option';
  const names = Object.keys(options.properties);
  const unknown = Object.keys(given).filter((option) => !names.includes(option));
  throwFaults([
    ...unknown.map((option) => ({
      code,
      path: `options.${option.slice(0, 100)}`,
      message: `no option of the format ${name}; ${names.length === 0 ? 'it has none' : `its options are ${names.join(', ')}`}`,
    })),
    ...checkFields(given, options.properties, 'options', code),
  ]);
  const entries = Object.entries<TSchema & { default?: unknown }>(options.properties);
  return Object.fromEntries(
    entries.map(([option, schema]) => [option, given[option] ?? usual[option] ?? schema.default]),
  );
}

/** Throws `not_exportable` if the format does not hold the adapter. */
export function checkExport(
  format: ExportFormat,
  adapter: ExportedAdapter,
  options: Record<string, unknown>,
): void {
  const refusal = format.refusal(adapter, options);
  if (refusal) throw new GraftError('not_exportable', refusal.message, { param: refusal.param });
}
