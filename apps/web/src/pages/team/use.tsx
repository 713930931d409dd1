import { useQuery } from '@tanstack/preact-query';
import { Facts } from '../../components/lists/facts.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { bytes, count, money, percent } from '../../text/numbers.ts';
import { Usage } from './usage.tsx';

/** What the team may have and spend, how much of it is in use, and what it used by the day. */
export function Use() {
  const quota = useQuery({ queryKey: ['quota'], queryFn: () => graft.team.quota() });
  const budget = useQuery({
    queryKey: ['budget'],
    queryFn: () => graft.usage.budget(),
    enabled: quota.data?.has_budget === true,
  });
  if (!quota.data || budget.isLoading) {
    return quota.error ? <Problem error={quota.error} onRetry={quota.refetch} /> : <Waiting height="20rem" />;
  }
  const { use, ...limits } = quota.data;
  const trained = use.trained_tokens + use.planned_tokens;
  const planned =
    use.planned_tokens > 0 && `${count(use.planned_tokens)} of them by jobs that have not ended`;
  const spent = budget.data;
  return (
    <>
      <section class="section">
        <h2>Limits</h2>
        <Facts
          facts={[
            limited('Running jobs', use.running_jobs, limits.running_jobs, count),
            limited('Waiting jobs', use.queued_jobs, limits.queued_jobs, count),
            limited('Stored', use.stored_bytes, limits.stored_bytes, bytes),
            {
              ...limited('Tokens trained this month', trained, limits.tokens_per_month, count),
              ...(planned && { note: planned }),
            },
            limited('Open uploads', use.open_uploads, limits.open_uploads, count),
            ...(spent
              ? [
                  {
                    ...limited('Spent this month', spent.spent, spent.monthly, money),
                    note: (
                      <>
                        {spent.stops ? 'Nothing new begins once it is spent.' : 'It is only warned of.'} Anew{' '}
                        <Time at={spent.resets_at} />.
                      </>
                    ),
                  },
                ]
              : []),
            { name: 'Tokens of one job', value: orNone(limits.tokens_per_job, count) },
            { name: 'Rank', value: orNone(limits.max_rank, count) },
            { name: 'Tokens of an example', value: orNone(limits.max_seq_length, count) },
            { name: 'Base models', value: orNone(limits.models, (names) => names.join(', ') || 'none') },
            { name: 'Methods', value: orNone(limits.methods, (names) => names.join(', ') || 'none') },
          ]}
        />
        <p class="small soft">
          The operator of Graft sets them. The month ends <Time at={limits.month_ends} form="clock" />.
        </p>
        {budget.error && <Problem error={budget.error} onRetry={budget.refetch} />}
      </section>
      <Usage />
    </>
  );
}

const orNone = <T,>(limit: T | null, tell: (limit: T) => string) =>
  limit === null ? 'no limit' : tell(limit);

function limited(name: string, used: number, limit: number | null, tell: (value: number) => string) {
  if (limit === null) return { name, value: tell(used), note: 'no limit' };
  const share = limit === 0 ? Number(used > 0) : used / limit;
  return {
    name,
    value: (
      <span class="limit">
        <span>
          {tell(used)} <span class="soft">of {tell(limit)}</span>
        </span>
        <Meter value={share} label={`${name}: ${percent(share)} of the limit`} />
      </span>
    ),
  };
}
