import type { FineTuningJob } from '@graft/client';
import { useQueryClient } from '@tanstack/preact-query';
import type { ComponentType } from 'preact';
import { useState } from 'preact/hooks';
import { Link, useParams } from 'wouter-preact';
import '../../styles/pages/job.css';
import { BadLines } from '../../components/bad-lines.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { graft } from '../../data/graft.ts';
import { isOver, jobKey, mergeJobs, useJob } from '../../data/jobs.ts';
import { useStream } from '../../data/live.ts';
import { useQueryState } from '../../router/query-state.ts';
import { jobName, methodName } from '../../text/job-names.ts';
import { JobActions } from '../jobs/job-actions.tsx';
import { Checkpoints } from './checkpoints.tsx';
import { Configuration } from './configuration.tsx';
import { Curves } from './curves.tsx';
import { Events } from './events.tsx';
import { History } from './history.tsx';
import { Result } from './result.tsx';
import { Standing } from './standing.tsx';
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

/** One job: how it stands, what it has learned, what it was asked for, and what became of it. */
export function Job() {
  const { id = '' } = useParams<{ id: string }>();
  const { data: job, error, refetch } = useJob(id);
  if (!job) {
    return (
      <>
        <PageHead title="Job" up={up} />
        {error && <Problem error={error} onRetry={refetch} />}
      </>
    );
  }
  return <KnownJob key={id} job={job} />;
}

const up = { href: '/jobs', text: 'Jobs' };

function KnownJob({ job }: { job: FineTuningJob }) {
  useChanges(job);
  // A job opens on what is news of it. While it is watched nothing jumps: its end does not change the tab.
  const [first] = useState<Tab>(() => (job.fine_tuned_model === null ? 'curves' : 'result'));
  const [{ tab }, setState] = useQueryState<{ tab: string }>({ tab: first });
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
      <Standing job={job} />
      {job.error && <Fault job={job} error={job.error} />}
      {job.sweep && <Trials job={job} />}
      <Tabs
        label="Of the job"
        value={shown}
        onValue={(next) => setState({ tab: next })}
        tabs={tabs.map(([each, text]) => [each, text] as const)}
      />
      <Shown job={job} />
    </>
  );
}

function Fault({ job, error }: { job: FineTuningJob; error: NonNullable<FineTuningJob['error']> }) {
  const { code, param, message, details = [] } = error;
  const file = param === 'validation_file' ? job.validation_file : job.training_file;
  const length = (job.training as { max_seq_length?: number }).max_seq_length;
  const total = Number(/(\d+) bad lines in all$/.exec(message)?.[1] ?? 1);
  const report = `/files/${file}?${new URLSearchParams({ model: job.model, ...(length && { length: String(length) }) })}`;
  return (
    <section class="job-fault" aria-label="Why it failed">
      <h2>{faults[error.fault]}</h2>
      {details.length === 0 ? (
        <p>{message}</p>
      ) : (
        <>
          <BadLines label="Lines that cannot be used" lines={details} total={total} isCut />
          <p>
            Correct them, upload the file again and start the job anew.{' '}
            <Link href={report}>The report of the file</Link> lists every line.
          </p>
        </>
      )}
      <p class="small soft">
        <code>{code}</code>
        {param && (
          <>
            {' '}
            at <code>{param}</code>
          </>
        )}
      </p>
    </section>
  );
}

/** Whose it is to mend. */
const faults = {
  user: 'The job cannot be done as it is asked for',
  system: 'Graft failed at this job',
  environment: 'No worker could run this job',
};

/** What the job tells of itself while it is under way. */
function useChanges(job: FineTuningJob): void {
  const cache = useQueryClient();
  const ended = isOver(job.status);
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
