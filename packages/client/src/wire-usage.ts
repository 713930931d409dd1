/** Usage, prices and budgets as they travel, with the wire's own field names. Times are Unix seconds. */
import type { Queries, UsagePrice } from './generated/wire.ts';

export type { Budget, UsageBucket, UsagePage, UsagePrice, UsageResult } from './generated/wire.ts';

export type UsageKind = UsagePrice['kind'];

/** Of a team, and with a key of the operator of all or of `team_id`. */
export type UsageParams = Omit<Queries['GET /v1/usage'], 'page' | 'format'> &
  Pick<Queries['GET /v1/admin/usage'], 'team_id'>;
