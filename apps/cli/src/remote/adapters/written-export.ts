import type { AdapterExport, GraftClient } from '@graft/client';
import { TransferDisplay } from '../../draw/transfer-display.ts';
import { CommandError } from '../../errors.ts';
import { optionValues } from '../../options/export-options.ts';
import { type VersionOptions, versionOf } from './find-adapter-version.ts';
import { type SaveOptions, savedText } from './save-options.ts';

export interface ExportRequest extends VersionOptions {
  format: string;
  /** Texts `name=value`. */
  option: string[];
  keep?: boolean;
}

/** Creates an export of the version with that name. Values of options have the types that the service states for the format. */
export async function createExport(
  client: GraftClient,
  name: string,
  { format, option, keep = false, versionNumber }: ExportRequest,
): Promise<AdapterExport> {
  const { adapterId, version } = await versionOf(client, name, versionNumber);
  const formats = option.length === 0 ? [] : await client.adapters.exports.formats(adapterId, version);
  // An unknown format has no options; the service's error lists the formats.
  const schemas = formats.find((each) => each.name === format)?.options.properties ?? {};
  const options = optionValues(schemas as Record<string, object>, option);
  return await client.adapters.exports.create(adapterId, version, { format, options, keep });
}

/** Waits until the export has ended. Throws CommandError if it did not succeed. */
export async function awaitExport(
  client: GraftClient,
  made: AdapterExport,
  signal?: AbortSignal,
): Promise<AdapterExport> {
  const display = new TransferDisplay(process.stderr, `Exporting ${made.format}`);
  try {
    const ended = await client.adapters.exports.wait(made.adapter_id, made.version, made.id, {
      onChange: ({ progress }) => {
        if (progress) display.update(progress.bytes, progress.total_bytes);
      },
      ...(signal ? { signal } : {}),
    });
    if (ended.status === 'succeeded') return ended;
    throw new CommandError(ended.error ? ended.error.message : `The export is ${ended.status}.`);
  } finally {
    display.close();
  }
}

/** Downloads a written export, checks its digests, and describes it. */
export async function saveExport(client: GraftClient, made: AdapterExport, options: SaveOptions) {
  const { adapter_id: adapterId, version, id, status, files } = made;
  if (made.bytes === null) throw new CommandError(`${id} has no files: it is ${status}.`);
  const { saveArchive } = await import('./download-adapter.ts');
  const title = `${made.format} of version ${version}`;
  const open = (onProgress: (progress: { received: number; total: number | null }) => void) =>
    client.adapters.exports.download(adapterId, version, id, { onProgress });
  // The id names the content: an export never changes.
  await saveArchive({ title, digest: id, files, open }, options);
  const saved = { path: options.output, files, bytes: made.bytes };
  const notes = made.notes.length > 0 ? `\n${made.notes.join('\n')}` : '';
  return { value: { ...made, path: options.output }, text: `${savedText(title, saved)}${notes}` };
}
