import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import { downloadFile } from './download-file.ts';
import { fileSize } from './file-size.ts';
import { connectToHub, type HubConnection } from './hub-connection.ts';
import type { HubFile } from './hub-files.ts';
import { listHubFiles } from './list-hub-files.ts';
import type { ResolveOptions } from './resolve-options.ts';

/** A split of a data set on the Hub. */
export interface HubDataset {
  /** `organisation/name` */
  name: string;
  /** Branch, tag or commit; `main` by default. */
  revision: string;
  /** Default `train`. */
  split: string;
  /** The file to use if a split has several. */
  file: string | null;
}

const PREFIX = 'hf://datasets/';
const namePattern = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const commitPattern = /^[0-9a-f]{40}$/;
/** The branch on which the Hub keeps every data set as Parquet. */
const CONVERTED = 'refs/convert/parquet';
const dataPattern = /\.(parquet|jsonl|json|csv|tsv)(\.gz|\.zst)?$/;

export const isHubDataset = (text: string): boolean => text.startsWith(PREFIX);

/** Parses `hf://datasets/organisation/name?split=train&revision=main&file=data/x.parquet`. Throws GraftError `invalid_data_set`. */
export function parseHubDataset(text: string): HubDataset {
  const [name = '', query = ''] = text.slice(PREFIX.length).split('?');
  const options = new URLSearchParams(query);
  const unknown = [...options.keys()].find((key) => !['split', 'revision', 'file'].includes(key));
  if (!isHubDataset(text) || !namePattern.test(name) || name.includes('..') || unknown)
    throw new GraftError(
      'invalid_data_set',
      `${text} is not of the form hf://datasets/organisation/name?split=train${unknown ? `; ${unknown} is not known` : ''}`,
    );
  return {
    name,
    revision: options.get('revision') ?? 'main',
    split: options.get('split') ?? 'train',
    file: options.get('file'),
  };
}

/**
 * The local path of a split's data file, downloaded if it is missing to <cacheDir>/data-sets/<organisation>--<name>/<commit>. Files of the
 * revision itself are preferred; else those that the Hub converted to Parquet. Throws GraftError `data_set_not_found`, and the
 * connection's errors.
 */
export async function fetchHubDataset(
  { name, revision, split, file }: HubDataset,
  options: Pick<ResolveOptions, 'cacheDir' | 'env' | 'signal' | 'retryDelay'> & {
    onBytes?: (bytes: number) => void;
  },
): Promise<string> {
  const hub = connectToHub(`datasets/${name}`, options.env);
  let commit = await commitOf(hub, name, revision);
  let found = filesOf(await listHubFiles(hub, { type: 'dataset', name }, commit), split, file);
  if (found.length === 0 && revision === 'main' && file === null) {
    commit = await commitOf(hub, name, CONVERTED);
    found = filesOf(await listHubFiles(hub, { type: 'dataset', name }, commit), split, file);
  }
  const [only, ...more] = found;
  if (!only) throw notFound(`the data set ${name} has no data file ${file ?? `of the split ${split}`}`);
  if (more.length > 0)
    throw notFound(
      `the split ${split} of ${name} has ${found.length} files; choose one with &file=: ${found
        .slice(0, 10)
        .map((each) => each.path)
        .join(', ')}`,
    );
  const folder = path.join(options.cacheDir, 'data-sets', name.replace('/', '--'), commit);
  const target = path.join(folder, only.path);
  if ((await fileSize(target)) === only.size) return target;
  await mkdir(path.dirname(target), { recursive: true });
  await downloadFile({
    url: `${hub.endpoint}/datasets/${name}/resolve/${commit}/${only.path.split('/').map(encodeURIComponent).join('/')}`,
    target,
    file: only,
    hub,
    signal: options.signal,
    ...(options.retryDelay === undefined ? {} : { retryDelay: options.retryDelay }),
    onBytes: (bytes) => options.onBytes?.(bytes),
  });
  return target;
}

/** Data files whose path names the split, as the Hub recognises them: `train.csv`, `data/train-00000-of-00001.parquet`, `default/train/0000.parquet`. */
function filesOf(files: readonly HubFile[], split: string, file: string | null): HubFile[] {
  const data = files.filter(({ path: name }) => dataPattern.test(name) && !name.split('/').includes('..'));
  if (file !== null) return data.filter(({ path: name }) => name === file);
  const named = data.filter(({ path: name }) => name.split(/[/._-]/).includes(split));
  const tables = named.filter(({ path: name }) => name.endsWith('.parquet'));
  return tables.length > 0 ? tables : named;
}

async function commitOf(hub: HubConnection, name: string, revision: string): Promise<string> {
  if (commitPattern.test(revision)) return revision;
  const url = `${hub.endpoint}/api/datasets/${name}/revision/${encodeURIComponent(revision)}`;
  const { sha } = (await (await hub.fetch(url)).json()) as { sha?: unknown };
  if (typeof sha === 'string' && commitPattern.test(sha)) return sha;
  throw notFound(`${hub.endpoint} named no commit of ${name}`);
}

function notFound(message: string): GraftError {
  return new GraftError('data_set_not_found', message);
}
