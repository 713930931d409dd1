import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { bytes, duration } from '../draw/quantities.ts';
import { TransferDisplay } from '../draw/transfer-display.ts';
import { UsageError } from '../errors.ts';
import { catchInterrupts, INTERRUPTED } from '../interrupts.ts';
import { checkFree } from '../options/arguments.ts';
import { optionValues } from '../options/export-options.ts';
import { createOutput, type Output } from '../output.ts';
import { exportVersion, isVersionName } from '../remote/adapters/export-version.ts';
import { type VersionOptions, versionOption } from '../remote/adapters/find-adapter-version.ts';
import type { RemoteOptions } from '../remote/connect.ts';
import { apiKeyOption, baseUrlOption } from '../remote/service-verb.ts';
import { verb } from '../verb.ts';
import { modelOption, withLocalModel } from './local-model.ts';

interface Options extends RemoteOptions, VersionOptions {
  model?: string;
  format?: string;
  output?: string;
  dtype?: string;
  option: string[];
  name?: string;
  overwrite?: boolean;
  list?: boolean;
}

export function addExportVerb(program: Command): void {
  const exports =
    'export an adapter in a format of other programs: a merged model, an adapter, …; a folder on this machine, or a version (ft:…, ftjob-…, adpt-…) on the service';
  const examples = [
    'my-adapter --model smollm2-135m-instruct --format merged --output merged-model',
    'ft:… --format gguf --dtype q4_k_m --output my-model',
    'my-adapter --model ./my-model --format merged --dtype bfloat16 --option max_shard_bytes=2000000000 --output merged-model',
    '--list',
  ];
  verb(program, 'export [adapter]', exports, ...examples)
    .option('--model <model>', `of a folder: ${modelOption}`)
    .option('--format <format>', 'the format; --list shows all')
    .option('--output <folder>', 'folder for the files')
    .option('--dtype <type>', 'type of the weights, of formats with an option dtype')
    .option(
      '--option <name=value>',
      'another option of the format; repeatable',
      (text, all: string[]) => [...all, text],
      [],
    )
    .option(
      '--name <name>',
      'of a folder: name of the model, in files that have one (default: that of the adapter folder)',
    )
    .option('--overwrite', 'replace the export in an output folder that is not empty')
    .option('--list', 'list the formats and their options')
    .addOption(versionOption())
    .addOption(baseUrlOption())
    .addOption(apiKeyOption('GRAFT_API_KEY'))
    .action(exportAdapter);
}

async function exportAdapter(adapter: string | undefined, options: Options): Promise<void> {
  const output = createOutput(options);
  if (options.list) return await listFormats(output);
  if (adapter !== undefined && isVersionName(adapter)) return await exportOnService(adapter, options, output);
  const required = {
    '<adapter>': adapter,
    '--model': options.model,
    '--format': options.format,
    '--output': options.output,
  };
  checkGiven(required);
  const serviceOptions = {
    '--version-number': options.versionNumber,
    '--base-url': options.baseUrl,
    '--api-key': options.apiKey,
  };
  refuse(serviceOptions, `is of versions on a service, and ${adapter} is a folder on this machine`);
  const { exportFormat } = await import('@graft/peft-core/exports');
  const format = exportFormat(options.format!);
  await runExport(output, {
    adapter: adapter!,
    model: options.model!,
    format: format.name,
    folder: options.output!,
    options: optionValues(format.options.properties, optionTexts(options)),
    overwrite: options.overwrite ?? false,
    ...(options.name === undefined ? {} : { name: options.name }),
  });
}

/** `graft exports create … --output`, with the options of this verb. */
async function exportOnService(name: string, options: Options, output: Output): Promise<void> {
  const { format, output: folder, model, name: named, overwrite } = options;
  checkGiven({ '--format': format, '--output': folder });
  refuse(
    { '--model': model, '--name': named },
    `is of folders on this machine; the service knows the base model and the name of ${name}`,
  );
  await exportVersion(output, name, {
    ...options,
    format: format!,
    option: optionTexts(options),
    output: folder!,
    overwrite: overwrite ?? false,
  });
}

/** `--dtype` is one of the options. */
const optionTexts = ({ dtype, option }: Options): string[] =>
  dtype === undefined ? option : [`dtype=${dtype}`, ...option];

function checkGiven(required: Record<string, unknown>): void {
  const missing = Object.keys(required).filter((name) => required[name] === undefined);
  if (missing.length > 0) throw new UsageError(`Missing: ${missing.join(', ')}.`);
}

function refuse(options: Record<string, unknown>, reason: string): void {
  const given = Object.keys(options).find((name) => options[name] !== undefined);
  if (given !== undefined) throw new UsageError(`${given} ${reason}.`);
}

export interface LocalExport {
  adapter: string;
  model: string;
  format: string;
  folder: string;
  options: Record<string, unknown>;
  overwrite: boolean;
  name?: string;
}

/** Exports an adapter, shows the progress on a terminal, and prints the files. */
export async function runExport(output: Output, request: LocalExport): Promise<void> {
  const { adapter, model, format, folder, overwrite } = request;
  checkFree(folder, overwrite);
  const began = performance.now();
  const { signal, release } = catchInterrupts();
  const display = new TransferDisplay(process.stderr, 'Writing');
  try {
    const { files, notes } = await withLocalModel(
      model,
      output,
      async (base, { exportFolder }) => {
        output.note(`Exporting ${adapter} on ${model} as ${format}`);
        return await exportFolder(format, {
          base,
          adapterDir: resolve(adapter),
          folder: resolve(folder),
          options: request.options,
          name: request.name ?? basename(resolve(adapter)),
          overwrite,
          onProgress: (done, total) => display.update(done, total),
          signal,
        });
      },
      signal,
    );
    display.close();
    const seconds = (performance.now() - began) / 1_000;
    const total = files.reduce((sum, file) => sum + file.bytes, 0);
    output.result({ output: folder, format, seconds, files, notes }, () =>
      [`Exported ${bytes(total)} in ${duration(seconds)}: ${folder}`, ...notes].join('\n'),
    );
  } catch (error) {
    display.close();
    if (!signal.aborted) throw error;
    output.note(`Interrupted: ${folder} is as it was.`);
    process.exitCode = INTERRUPTED;
  } finally {
    release();
  }
}

interface OptionSchema {
  type?: string;
  default?: unknown;
  description?: string;
  enum?: unknown[];
}

async function listFormats(output: Output): Promise<void> {
  const { exportFormats } = await import('@graft/peft-core/exports');
  const formats = exportFormats.map(({ name, title, summary, runtimes, holds, options }) => ({
    name,
    title,
    summary,
    runtimes,
    holds,
    options: options.properties,
  }));
  output.result({ formats }, () => formats.map(formatText).join('\n\n'));
}

function formatText(format: {
  name: string;
  summary: string;
  runtimes: readonly string[];
  options: object;
}): string {
  const options = Object.entries(format.options as Record<string, OptionSchema>).map(
    ([name, schema]) =>
      `    ${name}: ${schema.description} ${schema.enum ? `One of ${schema.enum.join(', ')}. ` : ''}Default: ${schema.default}.`,
  );
  return [`${format.name}: ${format.summary}`, `    Read by ${format.runtimes.join(', ')}.`, ...options].join(
    '\n',
  );
}
