import type { Command } from 'commander';
import { listed } from '../answer.ts';
import { timestamp } from '../draw/quantities.ts';
import { noun } from '../verb.ts';
import { serviceVerb } from './service-verb.ts';

export function addModelsVerbs(program: Command): void {
  const models = noun(
    program,
    'models',
    'base models, your fine-tuned models and aliases: list, aliases, alias, unalias',
  );

  serviceVerb(models, 'list', 'list the models that you can fine-tune or call').run(async (client) =>
    listed(
      await client.models.list(),
      {
        ID: 'id',
        'BASE MODEL': ({ base_model }) => base_model ?? '(is one)',
        ADAPTER: ({ adapter }) => adapter && `${adapter.id} v${adapter.version}`,
        'ALIAS OF': 'alias_of',
        CREATED: ({ created }) => timestamp(created),
      },
      'No models. The operator adds base models with GRAFT_BASE_MODELS.',
    ),
  );

  serviceVerb(models, 'aliases', "list your team's names for models").run(async (client) =>
    listed(
      await client.models.aliases.list(),
      { ALIAS: 'id', MODEL: 'target', CHANGED: ({ updated_at }) => timestamp(updated_at) },
      'No aliases. Create one with: graft models alias gpt-4o-mini ft:…',
    ),
  );

  const sets =
    'let requests that name the alias use a version, a tag or a base model; moves an existing alias';
  serviceVerb(models, 'alias <alias> <model>', sets, 'gpt-4o-mini ft:…').run(
    async (client, alias: string, model: string) => {
      const value = await client.models.aliases.set(alias, model);
      return { value, text: `Requests for ${value.id} now use ${value.target}.` };
    },
  );

  serviceVerb(models, 'unalias <alias>', 'delete an alias; its model remains', 'gpt-4o-mini').run(
    async (client, alias: string) => {
      const value = await client.models.aliases.delete(alias);
      return { value, text: `Deleted the alias ${value.id}.` };
    },
  );
}
