import type { TeamQuota } from '@graft/client';
import type { Paint } from './paint.ts';
import { bytes, count, timestamp } from './quantities.ts';
import { fields } from './table.ts';

export function quotaView(quota: TeamQuota, paint: Paint): string {
  const { use } = quota;
  const of = (used: number, limit: number | null, show = count) =>
    limit === null ? `${show(used)}, no limit` : `${show(used)} of ${show(limit)}`;
  const most = (limit: number | null) => (limit === null ? 'no limit' : `up to ${count(limit)}`);
  const among = (list: string[] | null) => (list === null ? 'all' : list.join(', ') || 'none');
  const underWay =
    use.planned_tokens > 0 ? `, plus up to ${count(use.planned_tokens)} of unfinished jobs` : '';
  return fields(
    {
      'running jobs': of(use.running_jobs, quota.running_jobs),
      'waiting jobs': of(use.queued_jobs, quota.queued_jobs),
      stored: of(use.stored_bytes, quota.stored_bytes, bytes),
      files: of(use.files, quota.files),
      adapters: of(use.adapters, quota.adapters),
      exports: of(use.exports, quota.exports),
      'tokens this month': of(use.trained_tokens, quota.tokens_per_month) + underWay,
      'month ends': timestamp(quota.month_ends),
      'open uploads':
        quota.open_uploads === null ? count(use.open_uploads) : of(use.open_uploads, quota.open_uploads),
      models: among(quota.models),
      methods: among(quota.methods),
      rank: most(quota.max_rank),
      'sequence length': most(quota.max_seq_length),
      'tokens per job': most(quota.tokens_per_job),
    },
    paint,
  );
}
