import { existsSync, rmSync } from 'node:fs';
import { mkdir, readdir, realpath, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import type { ExportRequest, ExportResult } from './export-writer.ts';
import { writeExport } from './writers.ts';

const exportedFile = /(\.(json|safetensors|gguf|jinja|md|partial)|(^|\/)(Modelfile|LICENSE))$/;

/**
 * Exports into `folder`, which is complete or as it was: the files are written into `<folder>.partial-<host>-<process>` beside it, which is
 * then renamed, and removed after an error. What a killed process left is removed, or put back, by the next export to the same folder. `overwrite`
 * replaces a folder that holds only files with names that exports have, and none that this export reads. Throws what `writeExport` throws,
 * and `output_not_empty`.
 */
export async function exportFolder(
  format: string,
  {
    folder,
    overwrite = false,
    ...request
  }: Omit<ExportRequest, 'outputDir'> & { folder: string; overwrite?: boolean },
): Promise<ExportResult> {
  const target = await realpath(folder).catch(() => path.resolve(folder));
  await removeAbandoned(target);
  await checkTarget(target, overwrite);
  await checkInputs(target, [request.adapterDir, request.base.path]);
  await mkdir(path.dirname(target), { recursive: true });
  const partial = `${target}.partial-${host}-${process.pid}`;
  const removeAtExit = () => rmSync(partial, { recursive: true, force: true });
  process.once('exit', removeAtExit);
  try {
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    const result = await writeExport(format, { ...request, outputDir: partial });
    request.signal?.throwIfAborted();
    // Someone may have written into it meanwhile.
    await checkTarget(target, overwrite);
    await replace(target, partial);
    return result;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  } finally {
    process.off('exit', removeAtExit);
  }
}

const host = hostname().replaceAll(/[^\w.]/g, '_');

/** Throws `output_not_empty` unless the folder is absent, empty, or, with `overwrite`, holds only files with names that exports have. */
async function checkTarget(target: string, overwrite: boolean): Promise<void> {
  const found = await filesIn(target);
  if (found.length === 0) return;
  const other = found.find((file) => !exportedFile.test(file));
  if (overwrite && other === undefined) return;
  throw new GraftError(
    'output_not_empty',
    overwrite
      ? `${target} holds ${other}, which no export wrote, and an export replaces the whole folder: choose another one`
      : `${target} is not empty: choose another folder, or overwrite it`,
    { param: 'output' },
  );
}

/** Throws `output_not_empty` if replacing the folder would delete what the export reads. */
async function checkInputs(target: string, inputs: readonly string[]): Promise<void> {
  for (const input of inputs) {
    const real = await realpath(input).catch(() => path.resolve(input));
    if (real === target || real.startsWith(path.join(target, path.sep)))
      throw new GraftError(
        'output_not_empty',
        `${target} holds ${input}, which this export reads, and an export replaces the whole folder: choose another one`,
        { param: 'output' },
      );
  }
}

/** The paths of what is in a folder; [] if it does not exist. */
async function filesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true, recursive: true });
    const paths = entries.map(
      (entry) => path.relative(folder, path.join(entry.parentPath, entry.name)) + (entry.isFile() ? '' : '/'),
    );
    // Folders count by their files, unless they are empty.
    return paths.filter(
      (each) => !each.endsWith('/') || !paths.some((file) => file !== each && file.startsWith(each)),
    );
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    if (code !== 'ENOTDIR') throw error;
    throw new GraftError('output_not_empty', `${folder} is a file: choose a folder`, { param: 'output' });
  }
}

async function replace(target: string, partial: string): Promise<void> {
  if ((await filesIn(target)).length === 0) return await rename(partial, target);
  const before = `${partial}.replaced`;
  await rename(target, before);
  try {
    await rename(partial, target);
  } catch (error) {
    await rename(before, target);
    throw error;
  }
  await rm(before, { recursive: true, force: true });
}

/** Removes the partial folders of this machine's processes that have ended; a folder that one of them had moved away comes back. */
async function removeAbandoned(target: string): Promise<void> {
  const prefix = `${path.basename(target)}.partial-${host}-`;
  for (const name of await namesIn(path.dirname(target))) {
    const [, pid, replaced] =
      (name.startsWith(prefix) && /^(\d+)(\.replaced)?$/.exec(name.slice(prefix.length))) || [];
    // An ended process may have had this one's number, as the first process of a container has.
    if (pid === undefined || (Number(pid) !== process.pid && isAlive(Number(pid)))) continue;
    const left = path.join(path.dirname(target), name);
    if (replaced && !existsSync(target)) await rename(left, target);
    else await rm(left, { recursive: true, force: true });
  }
}

/** The names in a folder; [] if there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
