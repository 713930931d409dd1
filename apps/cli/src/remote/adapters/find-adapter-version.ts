import type { GraftClient } from '@graft/client';
import { Option } from 'commander';
import { CommandError, UsageError } from '../../errors.ts';
import { wholeNumber } from '../../options/arguments.ts';

export interface VersionOptions {
  versionNumber?: number;
}

/** `--version-number`. */
export const versionOption = (
  description = 'version, if the adapter is given by its id (default: the latest)',
): Option => new Option('--version-number <n>', description).argParser(wholeNumber(1));

interface AdapterVersionName {
  adapterId: string;
  /** Null: the latest version. */
  version: number | null;
}

/** Finds an adapter by its id, by a model name (`ft:…`), or by the job that trained it. */
export async function findAdapterVersion(
  client: GraftClient,
  name: string,
  version?: number,
): Promise<AdapterVersionName> {
  if (!name.startsWith('ft:') && !name.startsWith('ftjob-'))
    return { adapterId: name, version: version ?? null };
  if (version !== undefined) {
    throw new UsageError(`${name} names a version already: use --version-number only with an adapter's id.`);
  }
  let model = name;
  if (name.startsWith('ftjob-')) {
    const job = await client.fineTuning.jobs.retrieve(name);
    if (job.fine_tuned_model === null)
      throw new CommandError(`${name} has created no adapter; its status is ${job.status}.`);
    model = job.fine_tuned_model;
  }
  const { adapter, base_model: base } = await client.models.retrieve(model);
  if (adapter === null) {
    const kind =
      base === null ? 'a base model' : 'a checkpoint, which `graft checkpoints promote` makes a version';
    throw new CommandError(`${model} is ${kind}, not a version of an adapter.`);
  }
  return { adapterId: adapter.id, version: adapter.version };
}

/** Finds a version by its name or number; for an adapter's id without a number, the latest. */
export async function versionOf(client: GraftClient, name: string, number?: number) {
  const { adapterId, version } = await findAdapterVersion(client, name, number);
  const found = version ?? (await client.adapters.retrieve(adapterId)).latest_version;
  if (found === null) throw new CommandError(`${name} has no version.`);
  return { adapterId, version: found };
}
