import type { AdapterDifference, AdapterLineage, GraftClient } from '@graft/client';
import type { Command } from 'commander';
import { wholeNumber } from '../../arguments.ts';
import { bytes, timestamp } from '../../draw/quantities.ts';
import { table } from '../../draw/table.ts';
import { TransferDisplay } from '../../draw/transfer-display.ts';
import { CommandError, UsageError } from '../../errors.ts';
import { createOutput, type Output } from '../../output.ts';
import { type RemoteOptions, verb } from '../../verb.ts';
import { connect } from '../connect.ts';
import { findAdapterVersion } from './find-adapter-version.ts';

interface VersionOptions extends RemoteOptions {
  versionNumber?: number;
}

const versionOption = [
  '--version-number <n>',
  'version, if the adapter is given by its id (default: the latest)',
] as const;

/** Finds a version by its name or number; for an adapter's id without a number, the latest. */
async function versionOf(
  client: GraftClient,
  name: string,
  number?: number,
): Promise<{ adapterId: string; version: number }> {
  const { adapterId, version } = await findAdapterVersion(client, name, number);
  const found = version ?? (await client.adapters.retrieve(adapterId)).latest_version;
  if (found === null) throw new CommandError(`${name} has no version.`);
  return { adapterId, version: found };
}

/** The model name for an adapter id, a job id or a model name, for use in `compare`. */
async function modelOf(client: GraftClient, name: string): Promise<string> {
  if (name.startsWith('ft:')) return name;
  const { adapterId, version } = await versionOf(client, name);
  return (await client.adapters.versions.retrieve(adapterId, version)).model;
}

/** Verbs that manage versions: upload, tag, untag, note, delete, restore, compare and lineage. */
export function addAdapterVersionVerbs(adapters: Command): void {
  addUploadVerb(adapters);
  addTagVerbs(adapters);
  addNoteVerb(adapters);
  addDeletionVerbs(adapters);
  addReadingVerbs(adapters);
}

function addUploadVerb(adapters: Command): void {
  verb(adapters, {
    name: 'upload <folder>',
    summary: 'upload an adapter that was trained elsewhere, as Hugging Face PEFT saves it',
    examples: ['graft adapters upload my-adapter --base-model smollm2-135m-instruct --name poet'],
    remote: true,
  })
    .requiredOption('--base-model <id>', 'base model that it was trained on')
    .requiredOption(
      '--name <name>',
      'name of the adapter; uploads and jobs with the same name create versions of one adapter',
    )
    .option('--parent <model>', 'the fine-tuned model (ft:…) that its training continued from')
    .option('--note <text>', 'note about the version')
    .action(async (folder: string, options: UploadOptions) => {
      const output = createOutput(options);
      const client = await connect(options);
      const display = new TransferDisplay(process.stderr, `Uploading ${folder}`);
      const { baseModel, name, parent, note } = options;
      const version = await client.adapters
        .upload({
          baseModel,
          name,
          parent,
          note,
          files: folder,
          onProgress: ({ sent, total }) => display.update(sent, total),
        })
        .finally(() => display.close());
      output.result(version, () =>
        [
          `Published ${version.model} (adapter ${version.adapter_id}, version ${version.version}, ${bytes(version.bytes)})`,
          '',
          'Next:',
          `  graft chat --model ${version.model} -m "…"`,
        ].join('\n'),
      );
    });
}

interface UploadOptions extends RemoteOptions {
  baseModel: string;
  name: string;
  parent?: string;
  note?: string;
}

function addTagVerbs(adapters: Command): void {
  verb(adapters, {
    name: 'tag <adapter> <tag>',
    summary: 'point a tag at a version; requests can use the tag as a model name, and it can be moved',
    examples: ['graft adapters tag ft:…:abcd1234 production'],
    remote: true,
  })
    .option(...versionOption, wholeNumber(1))
    .option(
      '--expect <n>',
      'only if the tag points at this version now; 0: only if the tag does not exist',
      wholeNumber(0),
    )
    .action(async (name: string, tag: string, options: VersionOptions & { expect?: number }) => {
      const client = await connect(options);
      const { adapterId, version } = await versionOf(client, name, options.versionNumber);
      const expected = options.expect === 0 ? null : options.expect;
      const moved = await client.adapters.tags.move(adapterId, tag, version, { expected });
      createOutput(options).result(moved, () => {
        const before = moved.previous_version;
        const was =
          before === null ? '' : before === version ? ', as before' : `, before at version ${before}`;
        return `${moved.model} points at version ${moved.version}${was}`;
      });
    });

  verb(adapters, {
    name: 'untag <adapter> <tag>',
    summary: 'remove a tag; the version stays',
    examples: ['graft adapters untag adpt-… production'],
    remote: true,
  }).action(async (name: string, tag: string, options: RemoteOptions) => {
    const client = await connect(options);
    const { adapterId } = await findAdapterVersion(client, name);
    const removed = await client.adapters.tags.remove(adapterId, tag);
    createOutput(options).result(removed, () => `Removed the tag ${tag}`);
  });
}

function addNoteVerb(adapters: Command): void {
  verb(adapters, {
    name: 'note <adapter> [text]',
    summary: 'set the note of a version, or of the whole adapter; without a text, show it',
    examples: [
      'graft adapters note ft:… "Passed the review."',
      'graft adapters note adpt-… --whole "The poet."',
    ],
    remote: true,
  })
    .option(...versionOption, wholeNumber(1))
    .option('--whole', 'the note of the adapter instead of a version')
    .option('--clear', 'remove the note')
    .action(async (name: string, text: string | undefined, options: NoteOptions) => {
      if (options.clear && text !== undefined) throw new UsageError('--clear takes no text.');
      const client = await connect(options);
      const write = options.clear || text !== undefined;
      const note = text ?? null;
      const { adapterId, version } = await versionOf(client, name, options.versionNumber);
      const { versions } = client.adapters;
      const read = options.whole
        ? () => (write ? client.adapters.setNote(adapterId, note) : client.adapters.retrieve(adapterId))
        : () => (write ? versions.setNote(adapterId, version, note) : versions.retrieve(adapterId, version));
      const noted = await read();
      createOutput(options).result(noted, () => noted.note ?? 'No note.');
    });
}

interface NoteOptions extends VersionOptions {
  whole?: boolean;
  clear?: boolean;
}

function addDeletionVerbs(adapters: Command): void {
  verb(adapters, {
    name: 'delete <adapter>',
    summary: 'delete a version, or the whole adapter with --all; versions can be restored for some days',
    examples: ['graft adapters delete ft:…', 'graft adapters delete adpt-… --all'],
    remote: true,
  })
    .option(...versionOption, wholeNumber(1))
    .option('--all', 'delete every version')
    .action(async (name: string, options: VersionOptions & { all?: boolean }) => {
      const client = await connect(options);
      const one = await findAdapterVersion(client, name, options.versionNumber);
      if (!options.all && one.version === null)
        throw new UsageError(
          `${name} is a whole adapter: choose a version with --version-number, or add --all.`,
        );
      const deleted = options.all
        ? await client.adapters.delete(one.adapterId)
        : await client.adapters.versions.delete(one.adapterId, one.version!);
      createOutput(options).result(
        deleted,
        () =>
          `Deleted ${deleted.versions} ${deleted.versions === 1 ? 'version' : 'versions'} of ${deleted.id}. To undo: graft adapters restore`,
      );
    });

  verb(adapters, {
    name: 'restore [adapter]',
    summary: 'restore a deleted version; without an adapter, list what can be restored',
    examples: ['graft adapters restore', 'graft adapters restore adpt-… --version-number 2'],
    remote: true,
  })
    .option('--version-number <n>', 'the version to restore', wholeNumber(1))
    .action(async (id: string | undefined, options: VersionOptions) => {
      const output = createOutput(options);
      const client = await connect(options);
      if (id !== undefined) {
        if (options.versionNumber === undefined)
          throw new UsageError('Choose the version to restore with --version-number.');
        const version = await client.adapters.versions.restore(id, options.versionNumber);
        return output.result(version, () => `Restored ${version.model}`);
      }
      const data = await client.adapters.listDeleted({ limit: 100 }).toArray(1000);
      output.result({ object: 'list', data }, () =>
        table(
          ['ADAPTER', 'VERSION', 'MODEL', 'DELETED', 'UNTIL'],
          data.map((each) => [
            each.adapter_id,
            String(each.version),
            each.model,
            timestamp(each.deleted_at),
            timestamp(each.restorable_until),
          ]),
          output.paint,
          'Nothing to restore.',
        ),
      );
    });
}

function addReadingVerbs(adapters: Command): void {
  verb(adapters, {
    name: 'compare <a> <b>',
    summary: 'compare two versions: options, lineage, metrics, files',
    examples: ['graft adapters compare ft:…:production ft:…:abcd1234'],
    remote: true,
  }).action(async (a: string, b: string, options: RemoteOptions) => {
    const output = createOutput(options);
    const client = await connect(options);
    const found = await client.adapters.compare(await modelOf(client, a), await modelOf(client, b));
    output.result(found, () => {
      const heads = [found.a, found.b].map(({ model }) => model);
      const files = found.files.map(({ path, status }): [string, string, string] => [path, status, '']);
      return [
        differencesTable('OPTION', found.config, heads, output),
        differencesTable('LINEAGE', found.lineage, heads, output),
        table(
          ['METRIC', ...heads],
          found.metrics.map((each) => [each.name, shown(each.a ?? undefined), shown(each.b ?? undefined)]),
          output.paint,
          'No metrics.',
        ),
        table(['FILE', 'IS', ''], files, output.paint, 'No files.'),
      ].join('\n\n');
    });
  });

  verb(adapters, {
    name: 'lineage <adapter>',
    summary: 'show the data, job and adapters that a version was created from, and those created from it',
    examples: ['graft adapters lineage ft:…'],
    remote: true,
  })
    .option(...versionOption, wholeNumber(1))
    .action(async (name: string, options: VersionOptions) => {
      const client = await connect(options);
      const { adapterId, version } = await versionOf(client, name, options.versionNumber);
      const lineage = await client.adapters.versions.lineage(adapterId, version);
      createOutput(options).result(lineage, () => treeOf(lineage));
    });
}

function differencesTable(
  what: string,
  differences: AdapterDifference[],
  heads: string[],
  { paint }: Output,
): string {
  const rows = differences.map(({ field, a, b }) => [field, shown(a), shown(b)]);
  return table([what, ...heads], rows, paint, `${what.toLowerCase()}: the same`);
}

const shown = (value: unknown): string => (value === undefined ? '–' : JSON.stringify(value).slice(0, 60));

/** Prints the lineage as a tree, ancestors first. A node with two parents is printed once, below the first. */
function treeOf({ nodes, edges, truncated }: AdapterLineage): string {
  const labels = new Map(nodes.map(({ id, type, label }) => [id, `${type} ${label ?? `${id} (deleted)`}`]));
  const targets = new Set(edges.map(({ to }) => to));
  const shownIds = new Set<string>();
  const lines: string[] = [];
  const waiting = nodes.filter(({ id }) => !targets.has(id)).map(({ id }) => ({ id, depth: 0 }));
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { id, depth } = next;
    if (shownIds.has(id)) continue;
    shownIds.add(id);
    lines.push('  '.repeat(depth) + labels.get(id));
    waiting.unshift(
      ...edges.filter(({ from }) => from === id).map(({ to }) => ({ id: to, depth: depth + 1 })),
    );
  }
  return [...lines, ...(truncated ? ['… and more'] : [])].join('\n');
}
