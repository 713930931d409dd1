import { useQuery } from '@tanstack/preact-query';
import { Facts } from '../../components/lists/facts.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { bytes, count, money, percent } from '../../text/numbers.ts';
import { Usage } from './usage.tsx';

/** The team's quotas and budget with their current use, and the usage by day. */
export function Limits() {
  const quota = useQuery({ queryKey: ['quota'], queryFn: () => graft.team.quota() });
  const budget = useQuery({
    queryKey: ['budget'],
    queryFn: () => graft.usage.budget(),
    enabled: quota.data?.has_budget === true,
  });
  if (!quota.data || budget.isLoading) {
    return quota.error ? <Problem error={quota.error} onRetry={quota.refetch} /> : <Waiting height="20rem" />;
  }
  const { use: usage, ...limits } = quota.data;
  const trained = usage.trained_tokens + usage.planned_tokens;
  const planned =
    usage.planned_tokens > 0 && `including ${count(usage.planned_tokens)} planned by unfinished jobs`;
  const spending = budget.data;
  return (
    <>
      <section class="panel">
        <h2>Limits</h2>
        <Facts
          facts={[
            limitFact('Running jobs', usage.running_jobs, limits.running_jobs, count),
            limitFact('Waiting jobs', usage.queued_jobs, limits.queued_jobs, count),
            limitFact('Storage', usage.stored_bytes, limits.stored_bytes, bytes),
            limitFact('Files', usage.files, limits.files, count),
            limitFact('Adapter versions', usage.adapters, limits.adapters, count),
            limitFact('Exports', usage.exports, limits.exports, count),
            {
              ...limitFact('Tokens trained this month', trained, limits.tokens_per_month, count),
              ...(planned && { note: planned }),
            },
            limitFact('Open uploads', usage.open_uploads, limits.open_uploads, count),
            ...(spending
              ? [
                  {
                    ...limitFact('Spent this month', spending.spent, spending.monthly, money),
                    note: (
                      <>
                        {spending.stops
                          ? 'New jobs and requests are rejected when it is spent.'
                          : 'Warning only.'}{' '}
                        Resets <Time at={spending.resets_at} />.
                      </>
                    ),
                  },
                ]
              : []),
            { name: 'Tokens per job', value: limitText(limits.tokens_per_job, count) },
            { name: 'Maximum rank', value: limitText(limits.max_rank, count) },
            { name: 'Tokens per example', value: limitText(limits.max_seq_length, count) },
            { name: 'Base models', value: limitText(limits.models, (names) => names.join(', ') || 'none') },
            { name: 'Methods', value: limitText(limits.methods, (names) => names.join(', ') || 'none') },
          ]}
        />
        <p class="small soft">
          Set by the operator. The month ends <Time at={limits.month_ends} form="clock" />.
        </p>
        {budget.error && <Problem error={budget.error} onRetry={budget.refetch} />}
      </section>
      <Usage />
    </>
  );
}

const limitText = <T,>(limit: T | null, format: (limit: T) => string) =>
  limit === null ? 'no limit' : format(limit);

function limitFact(name: string, used: number, limit: number | null, format: (value: number) => string) {
  if (limit === null) return { name, value: format(used), note: 'no limit' };
  const share = limit === 0 ? Number(used > 0) : used / limit;
  return {
    name,
    value: (
      <span class="limit tight">
        <span>
          {format(used)} <span class="soft">of {format(limit)}</span>
        </span>
        <Meter value={share} label={`${name}: ${percent(share)} of the limit`} />
      </span>
    ),
  };
}
