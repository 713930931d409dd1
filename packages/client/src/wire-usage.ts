/** Usage, prices and budgets, with the field names of the API. Times are Unix seconds. */
import type { Queries, UsagePrice } from './generated/wire.ts';

export type { Budget, UsageBucket, UsagePage, UsagePrice, UsageResult } from './generated/wire.ts';

export type UsageKind = UsagePrice['kind'];

/** Usage of a team, or with an operator key of all teams or of `team_id`. */
export type UsageParams = Omit<Queries['GET /v1/usage'], 'page' | 'format'> &
  Pick<Queries['GET /v1/admin/usage'], 'team_id'>;
