import type { Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { createOutput } from '../output.ts';
import { noun, type VerbOptions, verb } from '../verb.ts';
import { unixSeconds, withServices } from './with-services.ts';

export function addBaseModelVerbs(admin: Command): void {
  const models = noun(admin, 'base-models', 'list, forget');

  verb(models, {
    name: 'list',
    summary: 'list the base models that were used, with the digest of their weights',
    examples: ['graft admin base-models list'],
  }).action(async (options: VerbOptions) => {
    const output = createOutput(options);
    const models = await withServices((services, { listRecordedBaseModels }) =>
      listRecordedBaseModels(services),
    );
    const data = models.map(({ id, digest, createdAt }) => ({
      id,
      digest,
      created_at: unixSeconds(createdAt),
    }));
    output.result({ object: 'list', data }, () =>
      table(
        ['ID', 'SHA-256 OF THE WEIGHTS', 'FIRST USED'],
        data.map((model) => [model.id, model.digest, timestamp(model.created_at)]),
        output.paint,
        'No base model was used yet.',
      ),
    );
  });

  verb(models, {
    name: 'forget <id>',
    summary: 'after its weights were replaced on purpose: the next use records the new ones',
    examples: ['graft admin base-models forget my-model'],
  }).action(async (id: string, options: VerbOptions) => {
    const output = createOutput(options);
    const known = await withServices((services, { forgetBaseModel }) => forgetBaseModel(services, id));
    output.result({ id, forgotten: known }, () =>
      known ? `The weights of ${id} are recorded anew when it is next used.` : `${id} was never used.`,
    );
  });
}
