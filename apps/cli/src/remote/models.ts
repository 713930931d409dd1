import type { Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { createOutput } from '../output.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { connect } from './connect.ts';

export function addModelsVerbs(program: Command): void {
  const models = noun(program, 'models', 'base models and your fine-tuned models: list');

  verb(models, {
    name: 'list',
    summary: 'list the models that you can fine-tune or call',
    examples: ['graft models list'],
    remote: true,
  }).action(async (options: RemoteOptions) => {
    const output = createOutput(options);
    const data = await (await connect(options)).models.list();
    output.result({ object: 'list', data }, () =>
      table(
        ['ID', 'BASE MODEL', 'ADAPTER', 'CREATED'],
        data.map((model) => [
          model.id,
          model.base_model ?? '(is one)',
          model.adapter === null ? '' : `${model.adapter.id} v${model.adapter.version}`,
          timestamp(model.created),
        ]),
        output.paint,
        'No models. The operator adds base models with GRAFT_BASE_MODELS.',
      ),
    );
  });
}
