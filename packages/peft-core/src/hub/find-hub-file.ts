import { GraftError } from '../errors.ts';
import type { HubConnection } from './hub-connection.ts';
import type { HubFile } from './hub-files.ts';
import { listHubFiles } from './list-hub-files.ts';
import type { HubDataset } from './parse-hub-dataset.ts';

/** A split's data file at a commit. */
export interface HubDataFile {
  commit: string;
  file: HubFile;
  /** Where its content is. */
  url: string;
}

const commitPattern = /^[0-9a-f]{40}$/;
/** The branch on which the Hub keeps every data set as Parquet. */
const CONVERTED = 'refs/convert/parquet';
const dataPattern = /\.(parquet|jsonl|json|csv|tsv)(\.gz|\.zst)?$/;

/**
 * The one data file of a split. Files of the revision itself are preferred; else those that the Hub converted to Parquet. `maxFiles`: the
 * most files that are listed. Throws GraftError `data_set_not_found`, and the connection's errors.
 */
export async function findHubFile(
  { name, revision, split, file }: HubDataset,
  hub: HubConnection,
  { maxFiles }: { maxFiles?: number } = {},
): Promise<HubDataFile> {
  const list = async (at: string) =>
    dataFilesOf(await listHubFiles(hub, { type: 'dataset', name }, at, maxFiles));
  let commit = await commitOf(hub, name, revision);
  const own = await list(commit);
  let found = chosenOf(own, split, file);
  if (found.length === 0 && revision === 'main' && file === null) {
    const converted = await commitOf(hub, name, CONVERTED).catch(unlessMissing);
    if (converted !== null) {
      commit = converted;
      found = chosenOf(await list(commit), split, file);
    }
  }
  const [only, ...more] = found;
  if (!only) {
    const others = own.length > 0 ? `; it has ${names(own)}` : '';
    throw notFound(`the data set ${name} has no data file ${file ?? `of the split ${split}`}${others}`);
  }
  if (more.length > 0)
    throw notFound(
      `the split ${split} of ${name} has ${found.length} files; choose one with &file=: ${names(found)}`,
    );
  const path = only.path.split('/').map(encodeURIComponent).join('/');
  return { commit, file: only, url: `${hub.endpoint}/datasets/${name}/resolve/${commit}/${path}` };
}

function dataFilesOf(files: readonly HubFile[]): HubFile[] {
  return files.filter(
    ({ path: name }) => dataPattern.test(name) && !name.split('/').some((part) => /^\.{0,2}$/.test(part)),
  );
}

/**
 * The named file, or those whose path names the split, as the Hub recognises them: `train.csv`, `data/train-00000-of-00001.parquet`,
 * `default/train/0000.parquet`.
 */
function chosenOf(data: readonly HubFile[], split: string, file: string | null): HubFile[] {
  // A path from a request is compared with those that the Hub lists, and is never part of a URL.
  if (file !== null) return data.filter(({ path: name }) => name === file);
  const named = data.filter(({ path: name }) => name.split(/[/._-]/).includes(split));
  const tables = named.filter(({ path: name }) => name.endsWith('.parquet'));
  return tables.length > 0 ? tables : named;
}

/** Ten paths at most. */
function names(files: readonly HubFile[]): string {
  const shown = files.slice(0, 10).map(({ path: name }) => name);
  return shown.join(', ') + (files.length > shown.length ? ', …' : '');
}

function unlessMissing(error: unknown): null {
  if (error instanceof GraftError && error.code === 'base_model_not_found') return null;
  throw error;
}

async function commitOf(hub: HubConnection, name: string, revision: string): Promise<string> {
  if (commitPattern.test(revision)) return revision;
  const url = `${hub.endpoint}/api/datasets/${name}/revision/${encodeURIComponent(revision)}`;
  const { sha } = (await (await hub.fetch(url)).json()) as { sha?: unknown };
  if (typeof sha === 'string' && commitPattern.test(sha)) return sha;
  throw notFound(`the Hub named no commit of ${name}`);
}

function notFound(message: string): GraftError {
  return new GraftError('data_set_not_found', message);
}
