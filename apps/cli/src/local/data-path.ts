import { existsSync } from 'node:fs';
import { isHubSource } from '../options/hub-source.ts';

/** True where a text is a file or refers to a data set of the Hub. A number after a further colon is not part of either. */
export const isDataPath = (text: string): boolean => existsSync(text) || isHubSource(text);

/** The path of a data file; a data set of the Hub (`hf://datasets/organisation/name?split=train`) is downloaded first. */
export async function dataPath(given: string, note: (text: string) => void): Promise<string> {
  if (!given.startsWith('hf://')) return given;
  const { fetchHubDataset, parseHubDataset } = await import('@graft/peft-core/files');
  const { cacheFolder } = await import('@graft/service/base-models');
  const dataset = parseHubDataset(given);
  note(`Fetching ${dataset.name}, ${dataset.split}`);
  return await fetchHubDataset(dataset, { cacheDir: cacheFolder(process.env) });
}
