import type { FineTuningJob } from '@graft/client';
import { useQueryClient } from '@tanstack/preact-query';
import type { ComponentType } from 'preact';
import { useState } from 'preact/hooks';
import { Link, useParams } from 'wouter-preact';
import { InvalidLines, totalInvalidLines } from '../../components/invalid-lines.tsx';
import { PageHead, PendingPage } from '../../components/page-head.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { graft } from '../../data/graft.ts';
import { isFinished, jobKey, mergeJobs, useJob } from '../../data/jobs.ts';
import { useStream } from '../../data/live.ts';
import { useQueryState } from '../../router/query-state.ts';
import { jobName, methodName } from '../../text/job-names.ts';
import { JobActions } from '../jobs/job-actions.tsx';
import { Checkpoints } from './checkpoints.tsx';
import { Configuration } from './configuration.tsx';
import { Curves } from './curves.tsx';
import { Events } from './events.tsx';
import { History } from './history.tsx';
import { JobStatusPanel } from './job-status-panel.tsx';
import { Result } from './result.tsx';
import { Trials } from './trials.tsx';

type Tab = 'curves' | 'result' | 'checkpoints' | 'configuration' | 'events' | 'history';

const tabs: [Tab, string, ComponentType<{ job: FineTuningJob }>][] = [
  ['curves', 'Curves', Curves],
  ['result', 'Result', Result],
  ['checkpoints', 'Checkpoints', Checkpoints],
  ['configuration', 'Configuration', Configuration],
  ['events', 'Events', Events],
  ['history', 'History', History],
];

/** A job: status, curves, result, checkpoints, configuration, events and history. */
export function Job() {
  const { id = '' } = useParams<{ id: string }>();
  const query = useJob(id);
  return query.data ? (
    <KnownJob key={id} job={query.data} />
  ) : (
    <PendingPage title="Job" up={up} query={query} />
  );
}

const up = { href: '/jobs', text: 'Jobs' };

function KnownJob({ job }: { job: FineTuningJob }) {
  useChanges(job);
  // The first tab depends on the status when the page opens; it does not change when the job ends.
  const [first] = useState<Tab>(() => (job.fine_tuned_model === null ? 'curves' : 'result'));
  const [{ tab }, , field] = useQueryState<{ tab: string }>({ tab: first });
  const [shown, , Shown] = tabs.find(([name]) => name === tab) ?? tabs[0]!;
  const name = jobName(job);
  return (
    <>
      <PageHead title={name} up={up} actions={<JobActions job={job} />}>
        <p class="soft">
          {job.sweep ? 'Sweep' : methodName(job)} on {job.model}
          {job.start_from && (
            <>
              , from <code>{job.start_from}</code>
            </>
          )}
        </p>
      </PageHead>
      <JobStatusPanel job={job} />
      {job.error && <JobError job={job} error={job.error} />}
      {job.sweep && <Trials job={job} />}
      <Tabs
        label="Job details"
        {...field('tab')}
        value={shown}
        tabs={tabs.map(([each, text]) => [each, text] as const)}
      />
      {shown === 'curves' && first === 'curves' && job.fine_tuned_model !== null && (
        <p role="status">
          Training has ended. <Link href={`/jobs/${job.id}?tab=result`}>See the result</Link>
        </p>
      )}
      <Shown job={job} />
    </>
  );
}

function JobError({ job, error }: { job: FineTuningJob; error: NonNullable<FineTuningJob['error']> }) {
  const { code, param, message, details = [] } = error;
  const file = fileAt(job, param) ?? job.training_file;
  const length = (job.training as { max_seq_length?: number }).max_seq_length;
  const total = totalInvalidLines(message) ?? 1;
  const reportLink = `/files/${file}?${new URLSearchParams({ model: job.model, ...(length && { length: String(length) }) })}`;
  return (
    <section class="problem tight job-error" aria-label="Why it failed">
      <h2>{faultTitles[error.fault]}</h2>
      {details.length === 0 ? (
        <p>{message}</p>
      ) : (
        <>
          <InvalidLines label="Invalid lines" lines={details} total={total} isExcerpt />
          <p>
            Fix the file, upload it again and create a new job. The <Link href={reportLink}>file report</Link>{' '}
            lists every line.
          </p>
        </>
      )}
      <p class="small soft">
        <code>{code}</code>
        {param && (
          <>
            {' '}
            in <code>{param}</code>
          </>
        )}
      </p>
    </section>
  );
}

/** The id of the file that an error names: `validation_file`, or `training_files[1]`. */
function fileAt(job: FineTuningJob, param: string | null): string | null {
  const [, kind, index] = /^(training|validation)_files\[(\d+)\]/.exec(param ?? '') ?? [];
  if (!kind) return param === 'validation_file' ? job.validation_file : job.training_file;
  const files = kind === 'training' ? job.training_files : job.validation_files;
  return files?.[Number(index)]?.file ?? null;
}

/** Who has to fix it. */
const faultTitles = {
  user: 'Invalid job',
  system: 'Service error',
  environment: 'No worker could run this job',
};

/** Keeps an unfinished job and its tabs up to date. */
function useChanges(job: FineTuningJob): void {
  const cache = useQueryClient();
  const ended = isFinished(job.status);
  const liveness = useStream(
    ended ? null : job.id,
    (signal) => graft.fineTuning.jobs.changes({ signal, reconnects: 0 }),
    {
      onItems: (jobs) => {
        mergeJobs(cache, jobs);
        if (jobs.some(({ id }) => id === job.id)) {
          for (const kind of ['events', 'checkpoints', 'attempts', 'trials'])
            void cache.invalidateQueries({ queryKey: [kind, job.id] });
        }
      },
      onOpen: () => void cache.invalidateQueries({ queryKey: jobKey(job.id) }),
    },
  );
  useJob(job.id, ended || liveness === 'live');
}
