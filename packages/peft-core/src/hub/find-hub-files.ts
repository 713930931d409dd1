import { GraftError } from '../errors.ts';
import { MAX_FILES } from '../examples/containers/tar.ts';
import { type CardConfig, cardConfigs, PathPatterns } from './dataset-card.ts';
import type { HubConnection } from './hub-connection.ts';
import type { HubFile } from './hub-files.ts';
import { listHubFiles } from './list-hub-files.ts';
import type { HubDataset } from './parse-hub-dataset.ts';

export interface HubDataFile {
  file: HubFile;
  url: string;
}

export interface HubDataFiles {
  commit: string;
  /** One, or all shards in order. */
  files: readonly [HubDataFile, ...HubDataFile[]];
}

const commitPattern = /^[0-9a-f]{40}$/;
/** The branch on which the Hub keeps every data set as Parquet. */
const CONVERTED = 'refs/convert/parquet';
const dataPattern = /\.(parquet|jsonl|json|csv|tsv)(\.gz|\.zst)?$/;
/** Cards are far shorter; the front matter of a longer one is not read. */
const MAX_CARD_BYTES = 1024 * 1024;
/** The number of a shard, before the kind of the file. */
const SHARD = /(?:-(\d{5})-of-(\d{5})|(?<=[-_./])\d+)(?=\.[a-z]+(?:\.gz|\.zst)?$)/;

/**
 * The data files of a split: those that the data set's card names, else those that are named after the split; of the revision itself, else
 * those that the Hub converted to Parquet. `maxFiles`: the most files that are listed. Throws GraftError `data_set_not_found`, and the
 * connection's errors.
 */
export async function findHubFiles(
  dataset: HubDataset,
  hub: HubConnection,
  { maxFiles }: { maxFiles?: number } = {},
): Promise<HubDataFiles> {
  const { name, revision, split, file, config } = dataset;
  const list = async (at: string) => await listHubFiles(hub, { type: 'dataset', name }, at, maxFiles);
  const urlOf = (at: string, path: string) =>
    `${hub.endpoint}/datasets/${name}/resolve/${at}/${path.split('/').map(encodeURIComponent).join('/')}`;
  let commit = await commitOf(hub, name, revision);
  const all = await list(commit);
  const own = dataFilesOf(all);
  let found: HubFile[];
  /** Any files may be a split if the card names them. */
  let isNamed = false;
  // A path from a request is compared with those that the Hub lists, and is never part of a URL.
  if (file !== null) found = own.filter(({ path }) => path === file);
  else {
    const card = all.find(({ path, size }) => path === 'README.md' && size <= MAX_CARD_BYTES);
    const text = card ? await (await hub.fetch(urlOf(commit, card.path))).text() : '';
    const chosen = configOf(cardConfigs(text), dataset);
    isNamed = Boolean(chosen?.splits);
    found = chosenOf(own, dataset, chosen);
  }
  if (found.length === 0 && revision === 'main' && file === null) {
    const converted = await commitOf(hub, name, CONVERTED).catch(unlessMissing);
    if (converted !== null) {
      commit = converted;
      isNamed = false;
      found = chosenOf(dataFilesOf(await list(commit)), dataset, null);
    }
  }
  if (found.length === 0) {
    const others = own.length > 0 ? `; it has ${names(own)}` : '';
    const what = file ?? `of the split ${split}${config === null ? '' : ` of ${config}`}`;
    throw notFound(`the data set ${name} has no data file ${what}${others}`);
  }
  checkShards(found, dataset, isNamed);
  const files = found.map((each): HubDataFile => ({ file: each, url: urlOf(commit, each.path) }));
  return { commit, files: files as [HubDataFile, ...HubDataFile[]] };
}

function dataFilesOf(files: readonly HubFile[]): HubFile[] {
  return files.filter(
    ({ path: name }) => dataPattern.test(name) && !name.split('/').some((part) => /^\.{0,2}$/.test(part)),
  );
}

/** The configuration that is meant, of those in the card; null for a card without any. */
function configOf(configs: readonly CardConfig[], { name, config }: HubDataset): CardConfig | null {
  if (configs.length === 0) return null;
  const found =
    config === null
      ? (configs.find(({ isDefault }) => isDefault) ?? (configs.length === 1 ? configs[0] : undefined))
      : configs.find((each) => each.name === config);
  if (found) return found;
  const listed = shortened(configs.map((each) => each.name));
  throw notFound(
    config === null
      ? `the data set ${name} has several configurations; choose one with &config=: ${listed}`
      : `the data set ${name} has no configuration ${config}; it has ${listed}`,
  );
}

/** The files of a split in order: those of the card's patterns, or those whose path names the split. */
function chosenOf(data: readonly HubFile[], dataset: HubDataset, config: CardConfig | null): HubFile[] {
  const { name, split } = dataset;
  if (config?.splits) {
    const patterns = config.splits.get(split);
    if (!patterns)
      throw notFound(
        `the data set ${name} has no split ${split}; its card names ${shortened([...config.splits.keys()])}`,
      );
    const prefix = config.folder === null ? '' : `${config.folder}/`;
    const like = new PathPatterns();
    const matching = patterns.flatMap((pattern) =>
      inOrder(data.filter(({ path }) => like.matches(path, prefix + pattern))),
    );
    return [...new Set(matching)];
  }
  const folder = config?.folder ?? (config ? null : dataset.config);
  const within = folder === null ? data : data.filter(({ path }) => `/${path}`.includes(`/${folder}/`));
  return inOrder(namedAfter(within, split));
}

/**
 * Files whose path names a split, as the Hub recognises them: `data/train_sft-00000-of-00003.parquet`, else `train.csv`,
 * `default/train/0000.parquet`. Parquet is preferred.
 */
function namedAfter(data: readonly HubFile[], split: string): HubFile[] {
  const isShard = ({ path }: HubFile) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return (
      SHARD.exec(name)?.[2] !== undefined &&
      name.startsWith(`${split}-`) &&
      SHARD.exec(name)!.index === split.length
    );
  };
  const isNamed = ({ path }: HubFile) =>
    path
      .split(/[/.]/)
      .some((part) => `-${part}-`.replaceAll('_', '-').includes(`-${split.replaceAll('_', '-')}-`));
  const shards = data.filter(isShard);
  const named = shards.length > 0 ? shards : data.filter(isNamed);
  const tables = named.filter(({ path }) => path.endsWith('.parquet'));
  return tables.length > 0 ? tables : named;
}

const collator = new Intl.Collator('en', { numeric: true });
const inOrder = (files: readonly HubFile[]): HubFile[] =>
  files.toSorted((a, b) => collator.compare(a.path, b.path));

/** Throws unless several files are all shards of one. */
function checkShards(files: readonly HubFile[], { name, split }: HubDataset, isNamed: boolean): void {
  if (files.length === 1) return;
  const stems = new Set(files.map(({ path }) => path.replace(SHARD, '')));
  if (stems.size > 1 && !isNamed)
    throw notFound(
      `the split ${split} of ${name} may be any of ${stems.size} files; choose one with &split=, &config= or &file=: ${names(files)}`,
    );
  if (files.length > MAX_FILES)
    throw notFound(
      `the split ${split} of ${name} has ${files.length} files; at most ${MAX_FILES} are read as one: choose one with &file=: ${names(files)}`,
    );
  const [, , of] = SHARD.exec(files[0]!.path) ?? [];
  if (!isNamed && of !== undefined && Number(of) !== files.length)
    throw notFound(
      `the split ${split} of ${name} has ${files.length} of its ${Number(of)} files: ${names(files)}`,
    );
}

/** Ten paths at most. */
const names = (files: readonly HubFile[]): string => shortened(files.map(({ path }) => path));

function shortened(all: readonly string[]): string {
  const shown = all.slice(0, 10).map((each) => each.slice(0, 200));
  return shown.join(', ') + (all.length > shown.length ? ', …' : '');
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
