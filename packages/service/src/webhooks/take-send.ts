import { GraftError } from '@graft/peft-core/config';
import type { Transaction } from '../database/database.ts';

/** Rate limit of test events and resent deliveries per endpoint: a burst, then one more every `secondsEach` seconds. */
export const sendLimit = { burst: 10, secondsEach: 6 };

/** Thrown when an endpoint exceeds the limit of test events and resent deliveries. */
export class SendLimitExceeded extends GraftError {
  /** Seconds until one more may be sent. */
  readonly retryAfter: number;

  constructor(retryAfter: number) {
    const { burst, secondsEach } = sendLimit;
    super(
      'rate_limit_exceeded',
      `This endpoint has sent ${burst} test events and resent deliveries, the limit; one more may be sent every ${secondsEach} s: try again in ${retryAfter} s.`,
      { param: null },
    );
    this.retryAfter = retryAfter;
  }
}

/**
 * Counts one test event or resent delivery of an endpoint, over all processes, in the transaction that sends it. Throws
 * SendLimitExceeded.
 */
export async function takeSend(tx: Transaction, teamId: string, id: string): Promise<void> {
  const { burst, secondsEach } = sendLimit;
  // `sends_until` is the time at which all sends so far would be done at the steady rate.
  const taken = await tx.$executeRaw`
    UPDATE webhook_endpoints
    SET sends_until = greatest(sends_until, now()) + make_interval(secs => ${secondsEach})
    WHERE team_id = ${teamId} AND id = ${id}
      AND coalesce(sends_until, now()) <= now() + make_interval(secs => ${(burst - 1) * secondsEach})`;
  if (taken > 0) return;
  const [row] = await tx.$queryRaw<{ seconds: number }[]>`
    SELECT extract(epoch FROM sends_until - now())::float8 AS seconds FROM webhook_endpoints
    WHERE team_id = ${teamId} AND id = ${id}`;
  if (!row) return;
  throw new SendLimitExceeded(Math.max(1, Math.ceil(row.seconds - (burst - 1) * secondsEach)));
}
