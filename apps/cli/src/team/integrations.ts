import { text } from 'node:stream/consumers';
import type { IntegrationParams, IntegrationType } from '@graft/client';
import { integrationTypes } from '@graft/wire/lists';
import { Argument, type Command } from 'commander';
import { listed, time } from '../answer.ts';
import { UsageError } from '../errors.ts';
import { given } from '../options/arguments.ts';
import { serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';

const type = new Argument('<type>', 'the experiment tracker, or huggingface for publications').choices(
  integrationTypes,
);

interface Settings {
  url?: string;
  username?: string;
  secretEnv?: string;
  secretStdin?: boolean;
}

export function addIntegrationsVerbs(program: Command): void {
  const about =
    'experiment trackers (wandb, mlflow, trackio) for the metrics of jobs, and the token of the Hugging Face Hub: list, set, delete';
  const integrations = noun(program, 'integrations', about);

  serviceVerb(integrations, 'list', 'list the experiment trackers of your team').run(async (client) =>
    listed(
      await client.integrations.list(),
      {
        TYPE: 'type',
        URL: 'url',
        USER: 'username',
        SECRET: ({ has_secret }) => (has_secret ? 'set' : 'none'),
        'MADE BY': ({ created_by }) => created_by ?? 'unknown',
        STATE: ({ enabled, disabled_reason }) => (enabled ? 'enabled' : `disabled: ${disabled_reason}`),
        CHANGED: ({ updated_at }) => time(updated_at),
      },
      'None yet. Set one up with: graft integrations set mlflow --url https://mlflow.example.com',
    ),
  );

  const sets = 'set the URL and secret of an experiment tracker; options that you leave out stay unchanged';
  const examples = [
    'wandb --secret-env WANDB_API_KEY',
    'mlflow --url https://mlflow.example.com --username ada --secret-stdin < password',
    'huggingface --secret-env HF_TOKEN',
  ];
  serviceVerb(integrations, 'set', sets, ...examples)
    .addArgument(type)
    .option('--url <url>', 'URL of the server (default for wandb: Weights & Biases)')
    .option('--username <name>', 'user name, if the secret is a password (mlflow)')
    .option('--secret-env <variable>', 'environment variable that holds the API key, token or password')
    .option('--secret-stdin', 'read the secret from standard input')
    .run(async (client, type: IntegrationType, options: Settings) => {
      const integration = await client.integrations.set(type, await paramsOf(options));
      const can =
        type === 'huggingface'
          ? 'Your team can now publish on the Hub'
          : `Jobs can now send metrics to ${type}`;
      return { value: integration, text: `${can} at ${integration.url}.` };
    });

  serviceVerb(integrations, 'delete', 'delete an experiment tracker and its secret', 'wandb')
    .addArgument(type)
    .run(async (client, type: IntegrationType) => ({
      value: await client.integrations.delete(type),
      text: `Deleted the ${type} integration.`,
    }));
}

/** The secret is not an argument, because other users of the machine can see arguments. */
async function paramsOf({ url, username, secretEnv, secretStdin }: Settings): Promise<IntegrationParams> {
  if (secretEnv !== undefined && secretStdin)
    throw new UsageError('Use either --secret-env or --secret-stdin, not both.');
  const secret = secretStdin
    ? (await text(process.stdin)).trim()
    : secretEnv === undefined
      ? undefined
      : process.env[secretEnv];
  if (secretEnv !== undefined && !secret) throw new UsageError(`The variable ${secretEnv} is not set.`);
  return given({ url, username, secret });
}
