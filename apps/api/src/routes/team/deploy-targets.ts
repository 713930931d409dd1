import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  createDeployTarget,
  type DeployTarget,
  deleteDeployTarget,
  getDeployTarget,
  listDeployTargets,
  retryDeployTarget,
  updateDeployTarget,
} from '@graft/service/deploy';
import {
  DeletedDeployTargetSchema,
  DeployTargetChangesSchema,
  DeployTargetParams,
  DeployTargetSchema,
  ListDeployTargetsQuery,
  NewDeployTargetSchema,
} from '@graft/wire/adapters/deploy-target';
import { listOf } from '@graft/wire/list';
import { usualKeepSeconds } from '@graft/wire/lists';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { toWireMaker } from '../../answers/exit.ts';
import { toWireList, unixSeconds } from '../../answers/list.ts';
import { found } from '../../not-found.ts';
import { operations } from '../operation.ts';

const operation = operations('Deploy targets');
/** All models, since a list shows the adapters of the team. */
const reading = { access: { scope: 'deploy:read', models: 'all' } } as const;
const changeAccess = { scope: 'deploy:write', role: 'admin', models: 'all' } as const;
const writing = { access: { ...changeAccess, answer: 'deploy:read' } } as const;
const deleting = { access: { ...changeAccess, answer: 'own' } } as const;

/** /deploy_targets: runtimes into which the version of a tag is loaded. docs/deploy-targets.md describes how. */
export const deployTargetRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.post(
    '/deploy_targets',
    operation(writing, 'Create a deploy target', ref(DeployTargetSchema), {
      description:
        'From then on the runtime serves the version that the tag points at: moving the tag loads the new version and unloads the old one.',
      body: ref(NewDeployTargetSchema),
    }),
    async ({ caller, body }) => {
      const input = {
        name: body.name,
        runtime: body.runtime,
        url: body.url,
        apiKey: body.api_key ?? null,
        adapterId: body.adapter_id,
        tag: body.tag,
        folder: body.folder,
        modelName: body.model_name,
        versionedNames: body.versioned_names ?? true,
        keepSeconds: body.keep_seconds ?? usualKeepSeconds,
      };
      return toWireDeployTarget(await createDeployTarget(services, caller.teamId, input, caller));
    },
  );

  app.get(
    '/deploy_targets',
    operation(reading, 'List deploy targets', listOf(DeployTargetSchema), {
      description: 'Newest first, with the state of each. API keys are never returned.',
      querystring: ListDeployTargetsQuery,
    }),
    async ({ caller, query: { adapter_id: adapterId, ...page } }) =>
      toWireList(
        await listDeployTargets(services, caller.teamId, { ...page, adapterId }),
        toWireDeployTarget,
      ),
  );

  app.get(
    '/deploy_targets/:target_id',
    operation(reading, 'Get a deploy target', ref(DeployTargetSchema), { params: DeployTargetParams }),
    async ({ caller, params: { target_id: id } }) =>
      toWireDeployTarget(found(await getDeployTarget(services, caller.teamId, id), 'deployTarget', id)),
  );

  app.post(
    '/deploy_targets/:target_id',
    operation(writing, 'Update a deploy target', ref(DeployTargetSchema), {
      description:
        'Omitted fields keep their values. A target keeps its runtime, address and adapter: create another target for others.',
      params: DeployTargetParams,
      body: ref(DeployTargetChangesSchema),
    }),
    async ({ caller, params: { target_id: id }, body }) => {
      const changes = {
        name: body.name,
        apiKey: body.api_key,
        tag: body.tag,
        folder: body.folder,
        modelName: body.model_name,
        versionedNames: body.versioned_names,
        keepSeconds: body.keep_seconds,
        enabled: body.enabled,
      };
      const target = await updateDeployTarget(services, caller.teamId, id, changes, caller);
      return toWireDeployTarget(found(target, 'deployTarget', id));
    },
  );

  app.post(
    '/deploy_targets/:target_id/retry',
    operation(writing, 'Retry a deploy target', ref(DeployTargetSchema), {
      description: 'Compares the runtime with the tag immediately, instead of at `next_attempt_at`.',
      params: DeployTargetParams,
    }),
    async ({ caller, params: { target_id: id } }) =>
      toWireDeployTarget(
        found(await retryDeployTarget(services, caller.teamId, id, caller), 'deployTarget', id),
      ),
  );

  app.delete(
    '/deploy_targets/:target_id',
    operation(deleting, 'Delete a deploy target', ref(DeletedDeployTargetSchema), {
      description:
        'The runtime then unloads the adapter, and its files are removed from the shared folder. Graft tries that for a day.',
      params: DeployTargetParams,
    }),
    async ({ caller, params: { target_id: id } }) => {
      found(await deleteDeployTarget(services, caller.teamId, id, caller), 'deployTarget', id);
      return { id, object: 'deploy_target' as const, deleted: true as const };
    },
  );
};

function toWireDeployTarget(target: DeployTarget): Static<typeof DeployTargetSchema> {
  const seconds = (time: Date | null) => time && unixSeconds(time);
  return {
    id: target.id,
    object: 'deploy_target',
    created_at: unixSeconds(target.createdAt),
    updated_at: unixSeconds(target.updatedAt),
    name: target.name,
    runtime: target.runtime,
    url: target.url,
    adapter_id: target.adapterId,
    tag: target.tag,
    folder: target.folder,
    model_name: target.modelName,
    versioned_names: target.versionedNames,
    keep_seconds: target.keepSeconds,
    has_api_key: target.hasApiKey,
    ...toWireMaker(target),
    state: target.state,
    reason: target.reason,
    deployed_version: target.deployedVersion,
    served_model: target.servedModel,
    deployed_at: seconds(target.deployedAt),
    checked_at: seconds(target.checkedAt),
    failing_since: seconds(target.failingSince),
    next_attempt_at: unixSeconds(target.nextAttemptAt),
  };
}
