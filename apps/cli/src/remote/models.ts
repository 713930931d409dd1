import type { Command } from 'commander';
import { listed } from '../answer.ts';
import { timestamp } from '../draw/quantities.ts';
import { noun } from '../verb.ts';
import { serviceVerb } from './service-verb.ts';

export function addModelsVerbs(program: Command): void {
  const models = noun(program, 'models', 'base models and your fine-tuned models: list');

  serviceVerb(models, 'list', 'list the models that you can fine-tune or call').run(async (client) =>
    listed(
      await client.models.list(),
      {
        ID: 'id',
        'BASE MODEL': ({ base_model }) => base_model ?? '(is one)',
        ADAPTER: ({ adapter }) => adapter && `${adapter.id} v${adapter.version}`,
        CREATED: ({ created }) => timestamp(created),
      },
      'No models. The operator adds base models with GRAFT_BASE_MODELS.',
    ),
  );
}
