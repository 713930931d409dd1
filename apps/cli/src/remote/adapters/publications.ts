import type { AdapterPublication, GraftClient } from '@graft/client';
import type { Command } from 'commander';
import { listed } from '../../answer.ts';
import { bytes, timestamp } from '../../draw/quantities.ts';
import { TransferDisplay } from '../../draw/transfer-display.ts';
import { CommandError } from '../../errors.ts';
import { wholeNumber } from '../../options/arguments.ts';
import { noun } from '../../verb.ts';
import { serviceVerb } from '../service-verb.ts';
import { type VersionOptions, versionOf, versionOption } from './find-adapter-version.ts';

interface CreateOptions extends VersionOptions {
  export?: string;
  public?: boolean;
  card: boolean;
  wait?: boolean;
}

export function addPublicationsVerbs(program: Command): void {
  const about =
    'adapter versions that the service publishes on the Hugging Face Hub: create, list, get, delete';
  const group = noun(program, 'publications', about);

  const publishes =
    'publish a version or its export (--export exp-…) on the Hub, with the token of the team (graft integrations set huggingface)';
  const examples = ['ft:… my-org/poet --wait', 'ft:… my-org/poet-merged --export exp-…'];
  serviceVerb(group, 'create <adapter> <repository>', publishes, ...examples)
    .addOption(versionOption())
    .option('--export <id>', 'a finished export of the version, instead of the adapter itself')
    .option('--public', 'permit a public repository, and create it so; otherwise it must be private')
    .option('--no-card', 'write no model card')
    .option('--wait', 'wait until it is published')
    .run(async (client, name: string, repository: string, options: CreateOptions) => {
      const { adapterId, version } = await versionOf(client, name, options.versionNumber);
      const created = await client.adapters.publications.create(adapterId, version, {
        repository,
        export_id: options.export ?? null,
        public: options.public ?? false,
        card: options.card,
      });
      if (!options.wait) {
        const next = `\n\nNext:\n  graft publications get ${name} ${created.id}`;
        return { value: created, text: described(created) + (created.url === null ? next : '') };
      }
      const published = await awaitPublication(client, created);
      return { value: published, text: described(published) };
    });

  serviceVerb(group, 'list <adapter>', 'list the publications of a version, newest first', 'ft:…')
    .addOption(versionOption())
    .option('--limit <n>', 'maximum number of rows', wholeNumber(1), 20)
    .run(async (client, name: string, { versionNumber, limit }: VersionOptions & { limit: number }) => {
      const { adapterId, version } = await versionOf(client, name, versionNumber);
      const page = { limit: Math.min(limit, 100) };
      return listed(
        await client.adapters.publications.list(adapterId, version, page).toArray(limit),
        {
          ID: 'id',
          REPOSITORY: 'repository',
          FORMAT: ({ format }) => format ?? 'adapter',
          STATUS: 'status',
          CREATED: (each) => timestamp(each.created_at),
          URL: (each) => each.url ?? each.error?.message ?? null,
        },
        'No publications yet: graft publications create',
      );
    });

  serviceVerb(group, 'get <adapter> <publication>', 'show a publication', 'ft:… pub-…')
    .addOption(versionOption())
    .run(async (client, name: string, id: string, { versionNumber }: VersionOptions) => {
      const { adapterId, version } = await versionOf(client, name, versionNumber);
      const publication = await client.adapters.publications.retrieve(adapterId, version, id);
      return { value: publication, text: described(publication) };
    });

  const deletes =
    'delete the record of a publication, and stop it if it is not complete; the Hub keeps its files';
  serviceVerb(group, 'delete <adapter> <publication>', deletes, 'ft:… pub-…')
    .addOption(versionOption())
    .run(async (client, name: string, id: string, { versionNumber }: VersionOptions) => {
      const { adapterId, version } = await versionOf(client, name, versionNumber);
      const deleted = await client.adapters.publications.delete(adapterId, version, id);
      return { value: deleted, text: `Deleted ${deleted.id}` };
    });
}

function described({
  id,
  repository,
  status,
  url,
  bytes: size,
  error,
  next_attempt_at: next,
}: AdapterPublication): string {
  const sent = size === null ? '' : `, ${bytes(size)}`;
  const again = error && next !== null ? ` Next attempt: ${timestamp(next)}.` : '';
  const reason = error ? `\n${error.message}${again}` : '';
  return `${id}: ${repository}, ${status}${sent}${url === null ? '' : `\n${url}`}${reason}`;
}

/** Waits until the publication has ended. Throws CommandError if it did not succeed. */
async function awaitPublication(
  client: GraftClient,
  { adapter_id: adapterId, version, id, repository }: AdapterPublication,
): Promise<AdapterPublication> {
  const display = new TransferDisplay(process.stderr, `Publishing ${repository}`);
  try {
    const ended = await client.adapters.publications.wait(adapterId, version, id);
    if (ended.status === 'succeeded') return ended;
    throw new CommandError(ended.error?.message ?? `The publication is ${ended.status}.`);
  } finally {
    display.close();
  }
}
