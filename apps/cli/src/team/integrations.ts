import type { Integration, IntegrationParams, IntegrationType } from '@graft/client';
import { Argument, type Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { connect } from '../remote/connect.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';

const types = ['wandb', 'mlflow', 'trackio'] as const;

interface Settings extends RemoteOptions {
  url?: string;
  username?: string;
  secretEnv?: string;
  secretStdin?: boolean;
}

export function addIntegrationsVerbs(program: Command): void {
  const integrations = noun(
    program,
    'integrations',
    'experiment trackers (wandb, mlflow, trackio) for the metrics of jobs: list, set, delete',
  );

  verb(integrations, {
    name: 'list',
    summary: 'list the experiment trackers of your team',
    examples: ['graft integrations list'],
    remote: true,
  }).action(async (options: RemoteOptions) => {
    const output = createOutput(options);
    const data = await (await connect(options)).integrations.list();
    output.result({ object: 'list', data }, () =>
      table(
        ['TYPE', 'URL', 'USER', 'SECRET', 'CHANGED'],
        data.map(rowOf),
        output.paint,
        'None yet. Set one up with: graft integrations set mlflow --url https://mlflow.example.com',
      ),
    );
  });

  verb(integrations, {
    name: 'set',
    summary: 'set the URL and secret of an experiment tracker; options that you leave out stay unchanged',
    examples: [
      'graft integrations set wandb --secret-env WANDB_API_KEY',
      'graft integrations set mlflow --url https://mlflow.example.com --username ada --secret-stdin < password',
    ],
    remote: true,
  })
    .addArgument(new Argument('<type>').choices(types))
    .option('--url <url>', 'URL of the server (default for wandb: Weights & Biases)')
    .option('--username <name>', 'user name, if the secret is a password (mlflow)')
    .option('--secret-env <variable>', 'environment variable that holds the API key, token or password')
    .option('--secret-stdin', 'read the secret from standard input')
    .action(async (type: IntegrationType, options: Settings) => {
      const output = createOutput(options);
      const params = await paramsOf(options);
      const integration = await (await connect(options)).integrations.set(type, params);
      output.result(integration, () => `Jobs can now send metrics to ${type} at ${integration.url}.`);
    });

  verb(integrations, {
    name: 'delete',
    summary: 'delete an experiment tracker and its secret',
    examples: ['graft integrations delete wandb'],
    remote: true,
  })
    .addArgument(new Argument('<type>').choices(types))
    .action(async (type: IntegrationType, options: RemoteOptions) => {
      const deleted = await (await connect(options)).integrations.delete(type);
      createOutput(options).result(deleted, () => `Deleted the ${type} integration.`);
    });
}

/** The secret is not an argument, because other users of the machine can see arguments. */
async function paramsOf({ url, username, secretEnv, secretStdin }: Settings): Promise<IntegrationParams> {
  if (secretEnv !== undefined && secretStdin)
    throw new UsageError('Use either --secret-env or --secret-stdin, not both.');
  const secret = secretStdin
    ? await readStandardInput()
    : secretEnv === undefined
      ? undefined
      : process.env[secretEnv];
  if (secretEnv !== undefined && !secret) throw new UsageError(`The variable ${secretEnv} is not set.`);
  return {
    ...(url !== undefined && { url }),
    ...(username !== undefined && { username }),
    ...(secret !== undefined && { secret }),
  };
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8').trim();
}

function rowOf({ type, url, username, has_secret, updated_at }: Integration): string[] {
  return [type, url, username ?? '', has_secret ? 'set' : 'none', timestamp(updated_at)];
}
