import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { dismissLeftover, listLeftovers } from '@graft/service/deploy';
import { listExits } from '@graft/service/keys';
import { getPublishingRules, setPublishingRules } from '@graft/service/publications';
import {
  DismissedLeftoverSchema,
  ExitSchema,
  LeftoverParams,
  LeftoverSchema,
  ListExitsQuery,
  ListLeftoversQuery,
  PublishingRulesSchema,
  SetPublishingRulesSchema,
} from '@graft/wire/adapters/exit';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import { toWireExit, toWireLeftover, toWirePublishingRules } from '../../answers/exit.ts';
import { toWireList } from '../../answers/list.ts';
import { found } from '../../not-found.ts';
import { operation as operatorOperation } from '../admin/operation.ts';
import { operations } from '../operation.ts';

const operation = operations('Team');
/** Access of an admin, since a name shows a receiver's host. */
const reading = { access: { scope: 'team:read', role: 'admin', models: 'all' } } as const;
const readingRules = { access: { scope: 'integrations:read', models: 'none' } } as const;
const settingRules = {
  access: { scope: 'integrations:write', role: 'admin', models: 'all', answer: 'integrations:read' },
} as const;

/** Exits of a team's data to other servers, repositories that it may publish to, and adapters that the operator must still unload. */
export const exitRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/team/exits',
    operation(reading, 'List what sends to other servers', listOf(ExitSchema), {
      description:
        'All webhook endpoints, integrations, deploy targets and unfinished publications of the team, with their makers.',
      querystring: ListExitsQuery,
    }),
    async ({ caller, query: { made_by: maker, maker_left: hasMakerLeft } }) => {
      const data = await listExits(services, caller.teamId, { maker, hasMakerLeft });
      return toWireList({ data, hasMore: false }, toWireExit);
    },
  );

  app.get(
    '/team/publishing',
    operation(readingRules, 'Get where the team may publish', ref(PublishingRulesSchema)),
    async ({ caller }) => toWirePublishingRules(await getPublishingRules(services, caller.teamId)),
  );

  app.post(
    '/team/publishing',
    operation(settingRules, 'Set where the team may publish', ref(PublishingRulesSchema), {
      description:
        'Publications go only to these repositories of the Hugging Face Hub. Omitted fields keep their values. Applies to waiting publications, too.',
      body: ref(SetPublishingRulesSchema),
    }),
    async ({ caller, body: { repositories, public: allowPublic } }) =>
      toWirePublishingRules(
        await setPublishingRules(services, caller.teamId, { repositories, allowPublic }, caller),
      ),
  );

  app.get(
    '/admin/deploy_leftovers',
    operatorOperation('List adapters that runtimes may still have', listOf(LeftoverSchema), {
      description:
        'Newest first: deleted deploy targets whose runtime did not answer for a day. Unload the adapters there, then dismiss them.',
      querystring: ListLeftoversQuery,
    }),
    async ({ query }) => toWireList(await listLeftovers(services, query), toWireLeftover),
  );

  app.delete(
    '/admin/deploy_leftovers/:leftover_id',
    operatorOperation('Dismiss adapters that a runtime no longer has', ref(DismissedLeftoverSchema), {
      description: 'Their files are then removed from the shared folder, within an hour.',
      params: LeftoverParams,
    }),
    async ({ operator, params: { leftover_id: id } }) => {
      found(await dismissLeftover(services, id, operator), 'leftover', id);
      return { id, object: 'deploy_leftover' as const, deleted: true as const };
    },
  );
};
