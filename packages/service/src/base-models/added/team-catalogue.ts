import path from 'node:path';
import type { Database } from '../../database/database.ts';
import { withSystemScope, withTeamScope } from '../../database/database-scope.ts';
import { digestFolder } from '../../environment/cache-folder.ts';
import { baseModelFault } from '../base-model-fault.ts';
import type {
  BaseModelCatalogue,
  BaseModelEntry,
  ConfiguredCatalogue,
  LocalBaseModel,
} from '../catalogue.ts';
import { openLocalModel } from '../open-local-model.ts';
import { OpenedModels } from '../opened-models.ts';
import { type AddedModel, addedModelOf } from './added-model.ts';
import { addedModelsFolder, type EnsureModelEnv, ensureModel } from './ensure-model.ts';

/** Combines the configured base models and those that the operator added, filtered by what each team may see. */
export function createTeamCatalogue(
  configured: ConfiguredCatalogue,
  { sql, db }: Database,
  env: EnsureModelEnv,
): BaseModelCatalogue {
  const opened = new OpenedModels();

  async function sees(id: string, teamId: string): Promise<{ permitted: boolean; added: boolean }> {
    const { rows } = await withTeamScope(teamId, () =>
      sql.query<{ permitted: boolean; added: boolean }>(
        `SELECT NOT EXISTS (SELECT 1 FROM base_model_rules WHERE team_id = $1 AND model_id = $2 AND NOT allowed)
           AND (NOT EXISTS (SELECT 1 FROM limited_base_models WHERE model_id = $2)
             OR EXISTS (SELECT 1 FROM base_model_rules WHERE team_id = $1 AND model_id = $2 AND allowed)) AS permitted,
           EXISTS (SELECT 1 FROM added_base_models
                   WHERE model_id = $2 AND state = 'ready' AND hidden_at IS NULL) AS added`,
        [teamId, id],
      ),
    );
    return rows[0]!;
  }

  async function open(
    model: AddedModel,
    onProgress: ((message: string) => void) | undefined,
  ): Promise<LocalBaseModel> {
    const { id: installation } = await withSystemScope(() => db.installation.findFirstOrThrow());
    const folder = path.join(addedModelsFolder(env, installation), model.id);
    const places = [env.cacheDir, model.location];
    const location = await ensureModel(model, folder, env, onProgress && { onProgress }).catch(
      (error: unknown): never => {
        throw baseModelFault(error, model.modelId, places);
      },
    );
    return await openLocalModel(model.modelId, location, places, digestFolder(env.cacheDir));
  }

  return {
    isConfigured: (id) => configured.knows(id),
    configured: async () => await configured.list(),
    list: async (teamId) => {
      const { rows: added } = await withTeamScope(teamId, () =>
        sql.query<Omit<BaseModelEntry, 'source'>>(
          `SELECT model_id AS id, finished_at AS "createdAt",
             CASE WHEN source = 'hub' THEN jsonb_build_object('id', location, 'quantization', file) END AS hub
           FROM added_base_models
           WHERE state = 'ready' AND hidden_at IS NULL ORDER BY finished_at, model_id`,
        ),
      );
      const { rows: unseen } = await withTeamScope(teamId, () =>
        sql.query<{ id: string }>(
          `SELECT model_id AS id FROM base_model_rules WHERE team_id = $1 AND NOT allowed
           UNION SELECT model_id FROM limited_base_models AS limited
           WHERE NOT EXISTS (SELECT 1 FROM base_model_rules AS rule
                             WHERE rule.team_id = $1 AND rule.model_id = limited.model_id AND rule.allowed)`,
          [teamId],
        ),
      );
      const hidden = new Set(unseen.map(({ id }) => id));
      const all = [
        ...(await configured.list()),
        // A model configured later under the id of an added one takes precedence.
        ...added
          .filter(({ id }) => !configured.knows(id))
          .map((entry) => ({ ...entry, source: 'added' as const })),
      ];
      return all.filter(({ id }) => !hidden.has(id));
    },
    has: async (id, teamId) => {
      const { permitted, added } = await sees(id, teamId);
      return permitted && (added || configured.knows(id));
    },
    permits: async (id, teamId) => (await sees(id, teamId)).permitted,
    get: async (id, options = {}) => {
      if (configured.knows(id)) return await configured.get(id, options);
      const row = await db.addedBaseModel.findFirst({ where: { modelId: id, state: 'ready' } });
      if (!row) return null;
      const model = addedModelOf(row);
      return await opened.get(model.id, () => open(model, options.onProgress), options.signal);
    },
    scrub: async (signal) => [...(await configured.scrub(signal)), ...(await opened.scrub(signal))],
  };
}
