import type { DeployLeftover } from '@graft/service/deploy';
import type { ListedExit } from '@graft/service/keys';
import type { PublishingRules } from '@graft/service/publications';
import type { ExitSchema, LeftoverSchema, PublishingRulesSchema } from '@graft/wire/adapters/exit';
import type { Static } from 'typebox';
import { unixSeconds } from './list.ts';

export const toWireMaker = ({ createdBy, madeByKey }: Pick<ListedExit, 'createdBy' | 'madeByKey'>) => ({
  created_by: createdBy,
  made_by_key: madeByKey,
});

export function toWireExit(exit: ListedExit): Static<typeof ExitSchema> {
  return {
    id: exit.id,
    object: 'team.exit',
    created_at: unixSeconds(exit.createdAt),
    kind: exit.kind,
    name: exit.name,
    enabled: exit.isEnabled,
    ...toWireMaker(exit),
    maker_left: exit.hasMakerLeft,
  };
}

export const toWirePublishingRules = ({
  repositories,
  allowPublic,
  updatedAt,
}: PublishingRules): Static<typeof PublishingRulesSchema> => ({
  object: 'team.publishing',
  repositories,
  public: allowPublic,
  updated_at: updatedAt && unixSeconds(updatedAt),
});

export function toWireLeftover(row: DeployLeftover): Static<typeof LeftoverSchema> {
  return {
    id: row.id,
    object: 'deploy_leftover',
    created_at: unixSeconds(row.createdAt),
    team_id: row.teamId,
    team_name: row.teamName,
    name: row.name,
    runtime: row.runtime,
    url: row.url,
    model_name: row.modelName,
    unreachable_since: unixSeconds(row.unreachableSince),
  };
}
