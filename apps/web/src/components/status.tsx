import type { JobStatus } from '@graft/client';

type Tone = 'quiet' | 'wait' | 'live' | 'good' | 'bad';

/** Each status has a distinct icon and label, so that colour is never the only difference. */
const appearances: Record<JobStatus, { label: string; tone: Tone; mark: string }> = {
  validating_files: { label: 'Validating files', tone: 'wait', mark: 'M6 3.2v3L8 7.5' },
  queued: { label: 'Queued', tone: 'wait', mark: 'M4 6h.01M6 6h.01M8 6h.01' },
  running: { label: 'Running', tone: 'live', mark: '' },
  paused: { label: 'Paused', tone: 'quiet', mark: 'M4.8 4v4M7.2 4v4' },
  succeeded: { label: 'Succeeded', tone: 'good', mark: 'M3.6 6.2 5.3 8 8.5 4.3' },
  failed: { label: 'Failed', tone: 'bad', mark: 'M6 3.2v3.3M6 8.6h.01' },
  cancelled: { label: 'Cancelled', tone: 'quiet', mark: 'M4.3 4.3l3.4 3.4M7.7 4.3 4.3 7.7' },
};

/** In lifecycle order. */
export const statuses = Object.keys(appearances) as JobStatus[];

export const statusLabel = (status: JobStatus): string => appearances[status].label;

/** `done`: progress of a running job, 0 to 1. */
export function Status({ status, done = null }: { status: JobStatus; done?: number | null }) {
  const { label, tone, mark } = appearances[status];
  return (
    <span class="status" data-tone={tone}>
      <svg viewBox="0 0 12 12" aria-hidden="true">
        <circle cx="6" cy="6" r="5" />
        {status === 'running' ? (
          <circle
            class="status-done"
            cx="6"
            cy="6"
            r="5"
            pathLength="1"
            stroke-dasharray={`${done ?? 0} 1`}
          />
        ) : (
          <path d={mark} />
        )}
      </svg>
      {label}
    </span>
  );
}
