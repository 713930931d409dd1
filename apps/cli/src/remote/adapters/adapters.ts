import type { Command } from 'commander';
import { wholeNumber } from '../../arguments.ts';
import { bytes, timestamp } from '../../draw/quantities.ts';
import { fields, table } from '../../draw/table.ts';
import { createOutput } from '../../output.ts';
import { noun, type RemoteOptions, verb } from '../../verb.ts';
import { connect } from '../connect.ts';
import { addAdapterVersionVerbs } from './adapter-versions.ts';
import { findAdapterVersion } from './find-adapter-version.ts';

export function addAdaptersVerbs(program: Command): void {
  const adapters = noun(
    program,
    'adapters',
    'trained and uploaded adapters: list, get, download, upload, tag, untag, note, delete, restore, compare, lineage',
  );

  verb(adapters, {
    name: 'list',
    summary: 'list the adapters of your team, newest first',
    examples: ['graft adapters list'],
    remote: true,
  })
    .option('--limit <n>', 'at most this many', wholeNumber(1), 100)
    .action(async (options: RemoteOptions & { limit: number }) => {
      const output = createOutput(options);
      const list = (await connect(options)).adapters.list({ limit: Math.min(options.limit, 100) });
      const data = await list.toArray(options.limit);
      output.result({ object: 'list', data }, () =>
        table(
          ['ID', 'NAME', 'BASE MODEL', 'VERSIONS', 'CREATED'],
          data.map((adapter) => [
            adapter.id,
            adapter.name,
            adapter.base_model,
            String(adapter.latest_version ?? 0),
            timestamp(adapter.created_at),
          ]),
          output.paint,
          'No adapters yet: every job that succeeds creates one, and so does: graft adapters upload',
        ),
      );
    });

  verb(adapters, {
    name: 'get <adapter>',
    summary: 'show an adapter, given by its id, a model name (ft:…) or its job (ftjob-…), and its versions',
    examples: ['graft adapters get adpt-…'],
    remote: true,
  }).action(async (name: string, options: RemoteOptions) => {
    const output = createOutput(options);
    const client = await connect(options);
    const { adapterId } = await findAdapterVersion(client, name);
    const adapter = await client.adapters.retrieve(adapterId);
    const versions = await client.adapters.versions.list(adapterId).toArray();
    output.result({ ...adapter, versions }, () => {
      const head = fields(
        [
          ['id', adapter.id],
          ['name', adapter.name],
          ['base model', adapter.base_model],
          ['created', timestamp(adapter.created_at)],
          ['note', adapter.note],
        ],
        output.paint,
      );
      const rows = versions.map((version) => [
        String(version.version),
        version.model,
        version.fine_tuning_job_id ?? '(uploaded)',
        version.tags.join(', '),
        bytes(version.bytes),
        timestamp(version.created_at),
      ]);
      const list = table(
        ['VERSION', 'MODEL', 'JOB', 'TAGS', 'SIZE', 'CREATED'],
        rows,
        output.paint,
        'No versions.',
      );
      return `${head}\n\n${list}`;
    });
  });

  verb(adapters, {
    name: 'download <adapter>',
    summary:
      'save an adapter, given by its id, a model name (ft:…) or its job (ftjob-…), as a folder that Hugging Face PEFT loads',
    examples: ['graft adapters download ftjob-… --output my-adapter'],
    remote: true,
  })
    .requiredOption('--output <path>', 'folder to create, or with --tar the archive to write')
    .option(
      '--version-number <n>',
      'version, if the adapter is given by its id (default: the latest)',
      wholeNumber(1),
    )
    .option('--tar', 'save the tar archive without unpacking it')
    .option('--overwrite', 'replace the output if it exists')
    .action(async (name: string, options: DownloadOptions) => {
      const { downloadAdapter } = await import('./download-adapter.ts');
      const output = createOutput(options);
      const client = await connect(options);
      const version = await findAdapterVersion(client, name, options.versionNumber);
      const saved = await downloadAdapter(client, version, options);
      output.result(saved, () => {
        const what = `${saved.model} (adapter ${saved.adapter_id}, version ${saved.version})`;
        return [
          `Saved ${what}`,
          `in ${saved.path}: ${saved.files.map((file) => file.path).join(', ')}; ${bytes(saved.bytes)}, digests checked.`,
          ...(options.tar
            ? []
            : ['', 'Next:', `  graft generate --model ${saved.base_model} --adapter ${saved.path} -m "…"`]),
        ].join('\n');
      });
    });

  addAdapterVersionVerbs(adapters);
}

interface DownloadOptions extends RemoteOptions {
  output: string;
  versionNumber?: number;
  tar?: boolean;
  overwrite?: boolean;
}
