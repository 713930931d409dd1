import { text } from 'node:stream/consumers';
import type { CreateDeployTarget, DeployTarget, UpdateDeployTarget } from '@graft/client';
import { runtimeNames, runtimeTitles } from '@graft/wire/lists';
import { type Command, Option } from 'commander';
import type { Answer } from '../answer.ts';
import { optional, timestamp } from '../draw/quantities.ts';
import { fields } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { given, wholeNumber } from '../options/arguments.ts';
import { listVerb, type ServiceVerb, serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';

interface Settings {
  tag?: string;
  modelName?: string;
  folder?: string;
  keep?: number;
  sameName?: boolean;
  runtimeKeyEnv?: string;
  runtimeKeyStdin?: boolean;
}

interface Creation extends Settings {
  runtime: CreateDeployTarget['runtime'];
  url: string;
  adapter: string;
  tag: string;
  modelName: string;
}

interface Update extends Settings {
  name?: string;
  versionedNames?: true;
  /** False: --no-runtime-key. */
  runtimeKey: boolean;
  enable?: true;
  disable?: true;
}

export function addDeployTargetsVerbs(program: Command): void {
  const titles = Object.values(runtimeTitles).join(', ');
  const about = `runtimes (${titles}) that serve the version of a tag: create, list, get, update, retry, delete`;
  const group = noun(program, 'deploy-targets', about);

  const creates = 'let a running server serve the version that a tag points at';
  const example =
    'shop --runtime vllm --url https://vllm.example.com --adapter adpt-… --tag production --model-name support';
  withSettings(serviceVerb(group, 'create <name>', creates, example))
    .addOption(
      new Option('--runtime <runtime>', 'kind of the server').choices(runtimeNames).makeOptionMandatory(),
    )
    .requiredOption('--url <url>', 'address of the server, without /v1')
    .requiredOption('--adapter <id>', 'adapter whose tag it follows')
    .run(async ({ deployTargets }, name: string, options: Creation) => {
      const { runtime, url, adapter, tag, modelName } = options;
      if (tag === undefined || modelName === undefined) throw new UsageError('Add --tag and --model-name.');
      const params = { ...(await settingsOf(options)), tag, model_name: modelName };
      return answer(await deployTargets.create({ ...params, name, runtime, url, adapter_id: adapter }));
    });

  listVerb(
    group,
    ({ deployTargets }, page, { adapter }: { adapter?: string }) =>
      deployTargets.list({ ...page, ...given({ adapter_id: adapter }) }),
    {
      summary: 'list the deploy targets of your team, newest first',
      pageSize: 20,
      columns: {
        ID: 'id',
        NAME: 'name',
        RUNTIME: 'runtime',
        TAG: 'tag',
        STATE: 'state',
        VERSION: ({ deployed_version }) => optional(deployed_version, String),
        MODEL: 'served_model',
        REASON: 'reason',
      },
      empty: 'None yet. Create one with: graft deploy-targets create NAME --runtime vllm --url https://…',
    },
  ).option('--adapter <id>', 'only targets of this adapter');

  serviceVerb(group, 'get <id>', 'show a deploy target and its state', 'dpt-…').run(
    async ({ deployTargets }, id: string) => answer(await deployTargets.retrieve(id)),
  );

  const updates = 'change a deploy target; options that you leave out stay unchanged';
  withSettings(serviceVerb(group, 'update <id>', updates, 'dpt-… --tag staging'))
    .option('--name <name>', 'new name')
    .option('--versioned-names', 'a name for each version again, the opposite of --same-name')
    .option('--no-runtime-key', 'forget the API key: the runtime needs none any more')
    .option('--disable', 'send nothing to the runtime, which keeps what it has loaded')
    .option('--enable', 'follow the tag again, under your key')
    .run(async ({ deployTargets }, id: string, options: Update) => {
      const { name, tag, modelName, versionedNames, runtimeKey, enable, disable } = options;
      if (enable && disable) throw new UsageError('Use either --enable or --disable, not both.');
      if (versionedNames && options.sameName)
        throw new UsageError('Use either --same-name or --versioned-names, not both.');
      const settings = await settingsOf(options);
      if (runtimeKey === false && settings.api_key !== undefined)
        throw new UsageError('Use either --no-runtime-key or a new key, not both.');
      const params: UpdateDeployTarget = {
        ...settings,
        ...given({ name, tag, model_name: modelName, versioned_names: versionedNames }),
        ...given({ enabled: enable ? true : disable ? false : undefined }),
        ...(runtimeKey === false && { api_key: null }),
      };
      if (Object.keys(params).length === 0) throw new UsageError('Nothing to change: add an option.');
      return answer(await deployTargets.update(id, params));
    });

  const retries = 'compare the runtime with the tag now, not at the next attempt';
  serviceVerb(group, 'retry <id>', retries, 'dpt-…').run(async ({ deployTargets }, id: string) =>
    answer(await deployTargets.retry(id)),
  );

  const deletes = 'delete a deploy target; its runtime unloads the adapter';
  serviceVerb(group, 'delete <id>', deletes, 'dpt-…').run(async ({ deployTargets }, id: string) => {
    const deleted = await deployTargets.delete(id);
    return { value: deleted, text: `Deleted ${deleted.id}; its runtime unloads the adapter.` };
  });
}

function withSettings(verb: ServiceVerb): ServiceVerb {
  return verb
    .option('--tag <tag>', 'tag to follow')
    .option('--model-name <name>', 'name of the adapter in the runtime')
    .option('--folder <path>', "path at which the runtime sees the team's part of the shared folder")
    .option('--keep <seconds>', 'how long the previous version stays loaded (default: 300)', wholeNumber(0))
    .option('--same-name', 'one name for all versions, with a moment without any between two')
    .option('--runtime-key-env <variable>', "environment variable that holds the runtime's API key")
    .option('--runtime-key-stdin', "read the runtime's API key from standard input") as ServiceVerb;
}

/** The key is not an argument, because other users of the machine can see arguments. */
async function settingsOf({
  folder,
  keep,
  sameName,
  runtimeKeyEnv,
  runtimeKeyStdin,
}: Settings): Promise<Pick<UpdateDeployTarget, 'api_key' | 'folder' | 'keep_seconds' | 'versioned_names'>> {
  if (runtimeKeyEnv !== undefined && runtimeKeyStdin)
    throw new UsageError('Use either --runtime-key-env or --runtime-key-stdin, not both.');
  const key = runtimeKeyStdin
    ? (await text(process.stdin)).trim()
    : runtimeKeyEnv === undefined
      ? undefined
      : process.env[runtimeKeyEnv];
  if (runtimeKeyEnv !== undefined && !key) throw new UsageError(`The variable ${runtimeKeyEnv} is not set.`);
  return given({ folder, keep_seconds: keep, versioned_names: sameName ? false : undefined, api_key: key });
}

function answer(target: DeployTarget): Answer {
  return {
    value: target,
    text: (paint) =>
      fields(
        {
          id: target.id,
          name: target.name,
          runtime: `${target.runtime} at ${target.url}`,
          adapter: `${target.adapter_id}, tag ${target.tag}`,
          folder: target.folder,
          'made by': target.created_by ?? 'unknown',
          state: target.state,
          reason: target.reason,
          version: optional(target.deployed_version, String),
          model: target.served_model,
          since: optional(target.deployed_at, timestamp),
          'next attempt': timestamp(target.next_attempt_at),
        },
        paint,
      ),
  };
}
