import type { AdapterVersion } from '@graft/client';
import type { Command } from 'commander';
import { bytes, timestamp } from '../../draw/quantities.ts';
import { type Columns, fields, tableOf } from '../../draw/table.ts';
import { given } from '../../options/arguments.ts';
import {
  type CombinationOptions,
  combinationOf,
  combinationOptions,
  weightsOf,
} from '../../options/combination-options.ts';
import { noun } from '../../verb.ts';
import { listVerb, serviceVerb } from '../service-verb.ts';
import { addAdapterVersionVerbs } from './adapter-versions.ts';
import { findAdapterVersion, type VersionOptions, versionOf, versionOption } from './find-adapter-version.ts';
import { checkOutput, type SaveOptions, savedText, saveOptions } from './save-options.ts';

const versionColumns: Columns<AdapterVersion> = {
  VERSION: 'version',
  MODEL: 'model',
  JOB: (version) =>
    version.fine_tuning_job_id ?? (version.source_ids.length > 0 ? '(combined)' : '(uploaded)'),
  TAGS: (version) => version.tags.join(', '),
  SIZE: (version) => bytes(version.bytes),
  CREATED: (version) => timestamp(version.created_at),
};

export function addAdaptersVerbs(program: Command): void {
  const about =
    'trained and uploaded adapters: list, get, download, upload, combine, tag, untag, note, delete, restore, compare, lineage';
  const group = noun(program, 'adapters', about);

  listVerb(group, ({ adapters }, page) => adapters.list(page), {
    summary: 'list the adapters of your team, newest first',
    limit: 100,
    pageSize: 100,
    columns: {
      ID: 'id',
      NAME: 'name',
      'BASE MODEL': 'base_model',
      VERSIONS: (adapter) => String(adapter.latest_version ?? 0),
      CREATED: (adapter) => timestamp(adapter.created_at),
    },
    empty: 'No adapters yet: every job that succeeds creates one, and so does: graft adapters upload',
  });

  const named = 'an adapter, given by its id, a model name (ft:…) or its job (ftjob-…),';
  serviceVerb(group, 'get <adapter>', `show ${named} and its versions`, 'adpt-…').run(
    async (client, name: string) => {
      const { adapterId } = await findAdapterVersion(client, name);
      const adapter = await client.adapters.retrieve(adapterId);
      const versions = await client.adapters.versions.list(adapterId).toArray();
      return {
        value: { ...adapter, versions },
        text: (paint) => {
          const head = {
            id: adapter.id,
            name: adapter.name,
            'base model': adapter.base_model,
            created: timestamp(adapter.created_at),
            note: adapter.note,
          };
          return `${fields(head, paint)}\n\n${tableOf(versions, versionColumns, paint, 'No versions.')}`;
        },
      };
    },
  );

  const saves = `save ${named} as a folder that Hugging Face PEFT loads`;
  const download = serviceVerb(group, 'download <adapter>', saves, 'ftjob-… --output my-adapter');
  saveOptions(download)
    .addOption(versionOption())
    .run(async (client, name: string, options: SaveOptions & VersionOptions) => {
      const { downloadAdapter } = await import('./download-adapter.ts');
      checkOutput(options);
      const version = await versionOf(client, name, options.versionNumber);
      const saved = await downloadAdapter(client, version, options);
      const what = `${saved.model} (adapter ${saved.adapter_id}, version ${saved.version})`;
      const next = options.tar
        ? ''
        : `\n\nNext:\n  graft generate --model ${saved.base_model} --adapter ${saved.path} -m "…"`;
      return { value: saved, text: `${savedText(what, saved)}${next}` };
    });

  addAdapterVersionVerbs(group);
  addCombineAdaptersVerb(group);
}

interface Options extends CombinationOptions {
  name: string;
  note?: string;
}

function addCombineAdaptersVerb(group: Command): void {
  const combines = 'create a version from weighted versions of one base model, without training';
  const examples = [
    'ft:…:poet:production ft:…:pirate:production --name both',
    'ft:…:abcd1234 ft:…:efgh5678 --weights 0.7,0.3 --combination-type ties --density 0.5 --name both',
  ];
  const command = serviceVerb(group, 'combine <models...>', combines, ...examples)
    .requiredOption('--name <name>', 'name of the adapter that gets the version')
    .option('--note <text>', 'note about the version');
  combinationOptions(command).run(async ({ adapters }, models: string[], options: Options) => {
    const weights = weightsOf(options, models.length);
    const version = await adapters.combine({
      name: options.name,
      sources: models.map((model, i) => ({ model, weight: weights[i]! })),
      ...combinationOf(options),
      ...given({ note: options.note }),
    });
    const { model, adapter_id, version: number } = version;
    return {
      value: version,
      text: () =>
        `Published ${model} (adapter ${adapter_id}, version ${number}, ${bytes(version.bytes)})\n\nNext:\n  graft chat --model ${model} -m "…"`,
    };
  });
}
