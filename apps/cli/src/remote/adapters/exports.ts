import type { AdapterExport } from '@graft/client';
import type { Command } from 'commander';
import { listed } from '../../answer.ts';
import { bytes, optional, timestamp } from '../../draw/quantities.ts';
import { fields, tableOf } from '../../draw/table.ts';
import { wholeNumber } from '../../options/arguments.ts';
import { noun } from '../../verb.ts';
import { serviceVerb } from '../service-verb.ts';
import { type VersionOptions, versionOf, versionOption } from './find-adapter-version.ts';
import { checkOutput, type SaveOptions, saveOptions } from './save-options.ts';
import { awaitExport, createExport, type ExportRequest, saveExport } from './written-export.ts';

interface CreateOptions extends ExportRequest {
  wait?: boolean;
  output?: string;
  overwrite?: boolean;
}

export function addExportsVerbs(program: Command): void {
  const about =
    'adapter versions in the formats of other programs: formats, create, list, get, download, keep, cancel, delete';
  const group = noun(program, 'exports', about);
  const named = 'an adapter version, given by a model name (ft:…), its job (ftjob-…), or its adapter’s id,';

  serviceVerb(group, 'formats <adapter>', `show the formats of ${named} and why it cannot have one`, 'ft:…')
    .addOption(versionOption())
    .run(async (client, name: string, { versionNumber }: VersionOptions) => {
      const { adapterId, version } = await versionOf(client, name, versionNumber);
      const formats = await client.adapters.exports.formats(adapterId, version);
      const columns = {
        FORMAT: 'name',
        SIZE: (each: (typeof formats)[number]) => optional(each.bytes, bytes),
        'READ BY': (each: (typeof formats)[number]) => each.runtimes.join(', '),
        ABOUT: (each: (typeof formats)[number]) => each.refusal ?? each.summary,
      } as const;
      return { value: formats, text: (paint) => tableOf(formats, columns, paint, 'No formats.') };
    });

  const examples = [
    'ft:… --format merged --output merged-model',
    'ft:… --format merged --option dtype=bfloat16 --keep',
  ];
  serviceVerb(group, 'create <adapter>', `export ${named} on the service`, ...examples)
    .addOption(versionOption())
    .requiredOption('--format <format>', 'the format; graft exports formats lists them')
    .option(
      '--option <name=value>',
      'an option of the format; repeatable',
      (text: string, all: string[]) => [...all, text],
      [],
    )
    .option('--keep', 'keep it until it is deleted, instead of letting it expire')
    .option('--wait', 'wait until it is written')
    .option('--output <folder>', 'wait, and download its files into this new folder')
    .option('--overwrite', 'replace the output if it exists')
    .run(async (client, name: string, options: CreateOptions) => {
      if (options.output !== undefined) checkOutput(options as SaveOptions);
      const created = await createExport(client, name, options);
      if (!options.wait && options.output === undefined)
        return {
          value: created,
          text: `${described(created)}\n\nNext:\n  graft exports get ${name} ${created.id}`,
        };
      const made = await awaitExport(client, created);
      if (options.output === undefined) return { value: made, text: described(made) };
      return await saveExport(client, made, options as SaveOptions);
    });

  serviceVerb(group, 'list <adapter>', 'list the exports of a version, newest first', 'ft:…')
    .addOption(versionOption())
    .option('--limit <n>', 'maximum number of rows', wholeNumber(1), 20)
    .run(async (client, name: string, { versionNumber, limit }: VersionOptions & { limit: number }) => {
      const { adapterId, version } = await versionOf(client, name, versionNumber);
      const page = { limit: Math.min(limit, 100) };
      return listed(
        await client.adapters.exports.list(adapterId, version, page).toArray(limit),
        {
          ID: 'id',
          FORMAT: 'format',
          STATUS: 'status',
          SIZE: (each) => optional(each.bytes, bytes),
          CREATED: (each) => timestamp(each.created_at),
          EXPIRES: (each) => (each.keep ? 'never' : optional(each.expires_at, timestamp)),
        },
        'No exports yet: graft exports create',
      );
    });

  serviceVerb(group, 'get <adapter> <export>', 'show an export and its files', 'ft:… exp-…')
    .addOption(versionOption())
    .run(async (client, name: string, id: string, { versionNumber }: VersionOptions) => {
      const { adapterId, version } = await versionOf(client, name, versionNumber);
      const made = await client.adapters.exports.retrieve(adapterId, version, id);
      const files = {
        FILE: 'path',
        SIZE: (file: { bytes: number }) => bytes(file.bytes),
        'SHA-256': 'sha256',
      } as const;
      return {
        value: made,
        text: (paint) =>
          [
            fields(
              {
                id: made.id,
                format: made.format,
                options: JSON.stringify(made.options),
                status: made.status,
                created: timestamp(made.created_at),
                expires: made.keep ? 'never' : optional(made.expires_at, timestamp),
                error: made.error?.message ?? null,
                notes: made.notes.join(' ') || null,
              },
              paint,
            ),
            tableOf(made.files, files, paint, 'No files yet.'),
          ].join('\n\n'),
      };
    });

  const saves = 'save the files of an export as a folder';
  saveOptions(serviceVerb(group, 'download <adapter> <export>', saves, 'ft:… exp-… --output merged-model'))
    .addOption(versionOption())
    .run(async (client, name: string, id: string, options: SaveOptions & VersionOptions) => {
      checkOutput(options);
      const { adapterId, version } = await versionOf(client, name, options.versionNumber);
      return await saveExport(
        client,
        await client.adapters.exports.retrieve(adapterId, version, id),
        options,
      );
    });

  serviceVerb(group, 'keep <adapter> <export>', 'keep an export, or let it expire', 'ft:… exp-…')
    .addOption(versionOption())
    .option('--expire', 'let it expire after the usual time from now')
    .run(async (client, name: string, id: string, options: VersionOptions & { expire?: boolean }) => {
      const { adapterId, version } = await versionOf(client, name, options.versionNumber);
      const made = await client.adapters.exports.keep(adapterId, version, id, !options.expire);
      return { value: made, text: described(made) };
    });

  serviceVerb(group, 'cancel <adapter> <export>', 'cancel a queued or running export', 'ft:… exp-…')
    .addOption(versionOption())
    .run(async (client, name: string, id: string, { versionNumber }: VersionOptions) => {
      const { adapterId, version } = await versionOf(client, name, versionNumber);
      const made = await client.adapters.exports.cancel(adapterId, version, id);
      return { value: made, text: described(made) };
    });

  serviceVerb(group, 'delete <adapter> <export>', 'delete an export with its files', 'ft:… exp-…')
    .addOption(versionOption())
    .run(async (client, name: string, id: string, { versionNumber }: VersionOptions) => {
      const { adapterId, version } = await versionOf(client, name, versionNumber);
      const deleted = await client.adapters.exports.delete(adapterId, version, id);
      return { value: deleted, text: `Deleted ${deleted.id}` };
    });
}

function described({ id, format, status, bytes: size, keep, expires_at: until }: AdapterExport): string {
  const written = size === null ? '' : `, ${bytes(size)}`;
  const end = keep ? ', kept until it is deleted' : until === null ? '' : `, until ${timestamp(until)}`;
  return `${id}: ${format}, ${status}${written}${end}`;
}
