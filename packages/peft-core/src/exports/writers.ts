import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import type { BaseModel } from '../files.ts';
import { type FittingAdapter, readFittingAdapter } from '../peft-model/adapter-fit.ts';
import { loadTokenizer, withChatTemplate } from '../text/index.ts';
import type { ExportRequest, ExportResult, ExportWriter } from './export-writer.ts';
import { exportedAdapter, folderBytes } from './exported-adapter.ts';
import { checkExport, type ExportFormatName, exportFormat, parseExportOptions } from './formats.ts';
import { writeGgufModel } from './gguf/write.ts';
import { writeGgufAdapter } from './gguf-lora/write.ts';
import { writeMerged } from './merged/write.ts';
import { writeMlx } from './mlx/write.ts';
import { writeOllama } from './ollama/write.ts';
import { writePeft } from './peft/write.ts';
import { tryTemplate } from './template-trial.ts';
import { variableNotes, withDefaults } from './template-variables.ts';

/** The writer of every export format, by name; `formats.ts` has the same rows. */
// biome-ignore lint/suspicious/noExplicitAny: each writer takes the options of one format, which the format's schema checks
const writers: Record<ExportFormatName, ExportWriter<any>> = {
  merged: writeMerged,
  peft: writePeft,
  gguf: writeGgufModel,
  'gguf-lora': writeGgufAdapter,
  mlx: writeMlx,
  ollama: writeOllama,
};

/**
 * Writes an adapter in a format. Throws `unknown_export_format`, `invalid_export_option`, `not_exportable`, what `readFittingAdapter`
 * throws, `adapter_template_failed`, `disk_full`, and the signal's reason. What was written until an error is left in `outputDir`: `exportFolder` removes it.
 */
export async function writeExport(name: string, request: ExportRequest): Promise<ExportResult> {
  const { base, adapterDir, outputDir, signal, onProgress } = request;
  const format = exportFormat(name);
  const options = parseExportOptions(format, request.options);
  const fitting = withVariables(base, await readFittingAdapter(base, adapterDir));
  const { config, chatTemplate, templateKwargs } = fitting.adapter;
  const described = exportedAdapter(base, { config, chatTemplate, bytes: await folderBytes(adapterDir) });
  checkExport(format, described, options);
  if (format.rendersTemplate && chatTemplate !== null) await tryTemplate(base.tokenizerFiles, chatTemplate);
  const total = format.bytes(described, options);
  await checkDisk(path.dirname(outputDir), total);
  let done = 0;
  const onBytes = (bytes: number) => {
    signal?.throwIfAborted();
    done += bytes;
    onProgress?.(Math.min(done, total), total);
  };
  try {
    const { files, notes } = await writers[format.name]({
      base,
      adapterDir,
      outputDir,
      name: request.name,
      options,
      fitting,
      onBytes,
    });
    return { files, notes: [...notes, ...variableNotes(templateKwargs, format.rendersTemplate ?? false)] };
  } catch (error) {
    throw diskFault(error, path.dirname(outputDir));
  }
}

/** The adapter with the variables of its training in its chat template, or in the base model's. */
function withVariables({ tokenizerFiles }: BaseModel, fitting: FittingAdapter): FittingAdapter {
  const { adapter } = fitting;
  if (Object.keys(adapter.templateKwargs).length === 0) return fitting;
  const template = loadTokenizer(withChatTemplate(tokenizerFiles, adapter.chatTemplate)).chatTemplateSource;
  const chatTemplate = template && withDefaults(template, adapter.templateKwargs);
  return { ...fitting, adapter: { ...adapter, chatTemplate } };
}

/** Throws `disk_full` before anything is written. */
async function checkDisk(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (bytes > free)
    throw diskFull(
      `the export takes up to ${megabytes(bytes)}, and the disk of ${folder} has ${megabytes(free)} left`,
    );
}

/** An error of the file system that stands for a full disk or a quota, as `disk_full`; any other error unchanged. */
function diskFault(error: unknown, folder: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return diskFull(`the disk of ${folder} filled up during the export`, error);
}

function diskFull(what: string, cause?: unknown): GraftError {
  return new GraftError('disk_full', `${what}; free some space or choose another folder`, {
    fault: 'environment',
    param: 'output',
    cause,
  });
}

const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
