import type { AdapterDifference, AdapterLineage, GraftClient } from '@graft/client';
import type { Command } from 'commander';
import { listed } from '../../answer.ts';
import type { Paint } from '../../draw/paint.ts';
import { bytes, timestamp } from '../../draw/quantities.ts';
import { table } from '../../draw/table.ts';
import { TransferDisplay } from '../../draw/transfer-display.ts';
import { UsageError } from '../../errors.ts';
import { wholeNumber } from '../../options/arguments.ts';
import { serviceVerb } from '../service-verb.ts';
import { findAdapterVersion, type VersionOptions, versionOf, versionOption } from './find-adapter-version.ts';

/** The model name for an adapter id, a job id or a model name, for use in `compare`. */
async function modelOf(client: GraftClient, name: string): Promise<string> {
  if (name.startsWith('ft:')) return name;
  const { adapterId, version } = await versionOf(client, name);
  return (await client.adapters.versions.retrieve(adapterId, version)).model;
}

/** Verbs that manage versions: upload, tag, untag, note, delete, restore, compare and lineage. */
export function addAdapterVersionVerbs(group: Command): void {
  addUploadVerb(group);
  addTagVerbs(group);
  addNoteVerb(group);
  addDeletionVerbs(group);
  addReadingVerbs(group);
}

function addUploadVerb(group: Command): void {
  const uploads = 'upload an adapter that was trained elsewhere, as Hugging Face PEFT saves it';
  const example = 'my-adapter --base-model smollm2-135m-instruct --name poet';
  serviceVerb(group, 'upload <folder>', uploads, example)
    .requiredOption('--base-model <id>', 'base model that it was trained on')
    .requiredOption(
      '--name <name>',
      'name of the adapter; uploads and jobs with the same name create versions of one adapter',
    )
    .option('--parent <model>', 'the fine-tuned model (ft:…) that its training continued from')
    .option('--note <text>', 'note about the version')
    .run(async ({ adapters }, folder: string, options: UploadOptions) => {
      const display = new TransferDisplay(process.stderr, `Uploading ${folder}`);
      const { baseModel, name, parent, note } = options;
      const onProgress = ({ sent, total }: { sent: number; total: number }) => display.update(sent, total);
      const version = await adapters
        .upload({ baseModel, name, parent, note, files: folder, onProgress })
        .finally(() => display.close());
      const { model, adapter_id, version: number } = version;
      return {
        value: version,
        text: () =>
          `Published ${model} (adapter ${adapter_id}, version ${number}, ${bytes(version.bytes)})\n\nNext:\n  graft chat --model ${model} -m "…"`,
      };
    });
}

interface UploadOptions {
  baseModel: string;
  name: string;
  parent?: string;
  note?: string;
}

function addTagVerbs(group: Command): void {
  const tags = 'point a tag at a version; requests can use the tag as a model name, and it can be moved';
  serviceVerb(group, 'tag <adapter> <tag>', tags, 'ft:…:abcd1234 production')
    .addOption(versionOption())
    .option(
      '--expect <n>',
      'only if the tag points at this version now; 0: only if the tag does not exist',
      wholeNumber(0),
    )
    .run(async (client, name: string, tag: string, options: VersionOptions & { expect?: number }) => {
      const { adapterId, version } = await versionOf(client, name, options.versionNumber);
      const expected = options.expect === 0 ? null : options.expect;
      const moved = await client.adapters.tags.move(adapterId, tag, version, { expected });
      const before = moved.previous_version;
      const was = before === null ? '' : before === version ? ', as before' : `, before at version ${before}`;
      return { value: moved, text: `${moved.model} points at version ${moved.version}${was}` };
    });

  const untags = 'remove a tag; the version stays';
  serviceVerb(group, 'untag <adapter> <tag>', untags, 'adpt-… production').run(
    async (client, name: string, tag: string) => {
      const { adapterId } = await findAdapterVersion(client, name);
      const removed = await client.adapters.tags.remove(adapterId, tag);
      return { value: removed, text: `Removed the tag ${tag}` };
    },
  );
}

function addNoteVerb(group: Command): void {
  const notes = 'set the note of a version, or of the whole adapter; without a text, show it';
  const examples = ['ft:… "Passed the review."', 'adpt-… --whole "The poet."'];
  serviceVerb(group, 'note <adapter> [text]', notes, ...examples)
    .addOption(versionOption())
    .option('--whole', 'the note of the adapter instead of a version')
    .option('--clear', 'remove the note')
    .run(async (client, name: string, text: string | undefined, options: NoteOptions) => {
      if (options.clear && text !== undefined) throw new UsageError('--clear takes no text.');
      const write = options.clear || text !== undefined;
      const note = text ?? null;
      const { adapterId, version } = await versionOf(client, name, options.versionNumber);
      const { versions } = client.adapters;
      const read = options.whole
        ? () => (write ? client.adapters.setNote(adapterId, note) : client.adapters.retrieve(adapterId))
        : () => (write ? versions.setNote(adapterId, version, note) : versions.retrieve(adapterId, version));
      const noted = await read();
      return { value: noted, text: noted.note ?? 'No note.' };
    });
}

interface NoteOptions extends VersionOptions {
  whole?: boolean;
  clear?: boolean;
}

function addDeletionVerbs(group: Command): void {
  const deletes = 'delete a version, or the whole adapter with --all; versions can be restored for some days';
  serviceVerb(group, 'delete <adapter>', deletes, 'ft:…', 'adpt-… --all')
    .addOption(versionOption())
    .option('--all', 'delete every version')
    .run(async (client, name: string, options: VersionOptions & { all?: boolean }) => {
      const { adapterId, version } = await findAdapterVersion(client, name, options.versionNumber);
      if (!options.all && version === null)
        throw new UsageError(
          `${name} is a whole adapter: choose a version with --version-number, or add --all.`,
        );
      const deleted = options.all
        ? await client.adapters.delete(adapterId)
        : await client.adapters.versions.delete(adapterId, version!);
      const count = `${deleted.versions} ${deleted.versions === 1 ? 'version' : 'versions'}`;
      return { value: deleted, text: `Deleted ${count} of ${deleted.id}. To undo: graft adapters restore` };
    });

  const restores = 'restore a deleted version; without an adapter, list what can be restored';
  serviceVerb(group, 'restore [adapter]', restores, '', 'adpt-… --version-number 2')
    .addOption(versionOption('the version to restore'))
    .run(async ({ adapters }, id: string | undefined, { versionNumber }: VersionOptions) => {
      if (id !== undefined) {
        if (versionNumber === undefined)
          throw new UsageError('Choose the version to restore with --version-number.');
        const version = await adapters.versions.restore(id, versionNumber);
        return { value: version, text: `Restored ${version.model}` };
      }
      return listed(
        await adapters.listDeleted({ limit: 100 }).toArray(1000),
        {
          ADAPTER: 'adapter_id',
          VERSION: 'version',
          MODEL: 'model',
          DELETED: (each) => timestamp(each.deleted_at),
          UNTIL: (each) => timestamp(each.restorable_until),
        },
        'Nothing to restore.',
      );
    });
}

function addReadingVerbs(group: Command): void {
  const compares = 'compare two versions: options, lineage, metrics, files';
  serviceVerb(group, 'compare <a> <b>', compares, 'ft:…:production ft:…:abcd1234').run(
    async (client, a: string, b: string) => {
      const compared = await client.adapters.compare(await modelOf(client, a), await modelOf(client, b));
      const heads = [compared.a, compared.b].map(({ model }) => model);
      const files = compared.files.map(({ path, status }) => [path, status, '']);
      const metrics = compared.metrics.map(({ name: field, a, b }) => ({
        field,
        a: a ?? undefined,
        b: b ?? undefined,
      }));
      return {
        value: compared,
        text: (paint) =>
          [
            differencesTable('OPTION', compared.config, heads, paint),
            differencesTable('LINEAGE', compared.lineage, heads, paint),
            differencesTable('METRIC', metrics, heads, paint, 'No metrics.'),
            table(['FILE', 'IS', ''], files, paint, 'No files.'),
          ].join('\n\n'),
      };
    },
  );

  const shows = 'show the data, job and adapters that a version was created from, and those created from it';
  serviceVerb(group, 'lineage <adapter>', shows, 'ft:…')
    .addOption(versionOption())
    .run(async (client, name: string, options: VersionOptions) => {
      const { adapterId, version } = await versionOf(client, name, options.versionNumber);
      const lineage = await client.adapters.versions.lineage(adapterId, version);
      return { value: lineage, text: treeOf(lineage) };
    });
}

function differencesTable(
  what: string,
  differences: Pick<AdapterDifference, 'field' | 'a' | 'b'>[],
  heads: string[],
  paint: Paint,
  empty = `${what.toLowerCase()}: the same`,
): string {
  const rows = differences.map(({ field, a, b }) => [field, shown(a), shown(b)]);
  return table([what, ...heads], rows, paint, empty);
}

const shown = (value: unknown): string => (value === undefined ? '–' : JSON.stringify(value).slice(0, 60));

/** Prints the lineage as a tree, ancestors first. A node with two parents is printed once, below the first. */
function treeOf({ nodes, edges, truncated }: AdapterLineage): string {
  const labels = new Map(nodes.map(({ id, type, label }) => [id, `${type} ${label ?? `${id} (deleted)`}`]));
  const targets = new Set(edges.map(({ to }) => to));
  const printed = new Set<string>();
  const lines: string[] = [];
  const waiting = nodes.filter(({ id }) => !targets.has(id)).map(({ id }) => ({ id, depth: 0 }));
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { id, depth } = next;
    if (printed.has(id)) continue;
    printed.add(id);
    lines.push('  '.repeat(depth) + labels.get(id));
    waiting.unshift(
      ...edges.filter(({ from }) => from === id).map(({ to }) => ({ id: to, depth: depth + 1 })),
    );
  }
  return [...lines, ...(truncated ? ['… and more'] : [])].join('\n');
}
