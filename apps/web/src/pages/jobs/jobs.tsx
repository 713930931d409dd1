import type { FineTuningJob } from '@graft/client';
import { useMutation, useQuery, useQueryClient } from '@tanstack/preact-query';
import { useRef, useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import exampleJob from '../../../../../examples/bike-shop/job.json';
import exampleData from '../../../../../examples/bike-shop/train.jsonl?url';
import { Sparkline } from '../../components/chart/sparkline.tsx';
import { Cut } from '../../components/cut.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button, LinkButton } from '../../components/forms/button.tsx';
import { Select } from '../../components/forms/field.tsx';
import { SearchField } from '../../components/forms/search-field.tsx';
import { More } from '../../components/lists/more.tsx';
import { type Column, Table } from '../../components/lists/table.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { statuses, statusLabel } from '../../components/status.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { type JobFilters, mergeJobs, useJobs, useLosses } from '../../data/jobs.ts';
import { useMemberNames } from '../../data/member-names.ts';
import { useBaseModels } from '../../data/models.ts';
import { usePermission } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { jobName, methodName } from '../../text/job-names.ts';
import { count, measure } from '../../text/numbers.ts';
import { JobActions } from './job-actions.tsx';
import { JobEnd, JobStatusCell } from './job-status-cell.tsx';

const unfiltered: JobFilters = { status: '', model: '', owner: '', search: '' };

export function Jobs() {
  const [filters, setFilters, field] = useQueryState({ ...unfiltered });
  const canTrain = usePermission('jobs:write');
  const [selected, setSelected] = useState<readonly string[]>([]);
  const query = useJobs(filters);
  const { data, error, refetch, hasNextPage, isFetchingNextPage, isPlaceholderData } = query;
  const pages = data?.pages.map((page) => page.data) ?? [];
  const jobs = pages.flat();
  const losses = useLosses(pages);
  const isFiltered = Object.values(filters).some(Boolean);
  const isFirst = data !== undefined && jobs.length === 0 && !isFiltered;

  const compare = selected.length > 1 && (
    <LinkButton icon="compare" href={`/compare?jobs=${selected.join()}`}>
      Compare {selected.length}
    </LinkButton>
  );
  return (
    <>
      <PageHead
        title="Jobs"
        actions={
          <>
            {compare}
            {canTrain && (
              <LinkButton kind="main" icon="add" href="/jobs/new">
                New job
              </LinkButton>
            )}
          </>
        }
      />
      {isFirst ? <FirstRun /> : <Filters field={field} />}
      {error && <Problem error={error} onRetry={refetch} />}
      {!data && !error && <Waiting />}
      {data && jobs.length === 0 && isFiltered && (
        <Empty title="No matching jobs">
          <p>Change or remove a filter.</p>
          <Button onClick={() => setFilters(unfiltered)}>Clear filters</Button>
        </Empty>
      )}
      {jobs.length > 0 && (
        <div aria-busy={isPlaceholderData}>
          <JobTable jobs={jobs} losses={losses} selected={selected} onSelectionChange={setSelected} />
          <div class="small soft jobs-end" role="status">
            {isFetchingNextPage ? 'Loading more…' : hasNextPage ? '' : `${count(jobs.length)} shown`}
          </div>
          <More query={query} />
        </div>
      )}
    </>
  );
}

/** `field` returns the properties of a filter's field. */
function Filters({
  field,
}: {
  field: (name: keyof JobFilters) => { value: string; onValue: (value: string) => void };
}) {
  const { members } = useMemberNames();
  const bases = useBaseModels();
  return (
    <search class="jobs-filters">
      <SearchField label="Search" placeholder="Name, model or ID" maxLength={128} {...field('search')} />
      <Select
        label="Status"
        hideLabel
        options={[['', 'All statuses'], ...statuses.map((status) => [status, statusLabel(status)] as const)]}
        {...field('status')}
      />
      <Select
        label="Base model"
        hideLabel
        options={[['', 'All base models'], ...bases]}
        {...field('model')}
      />
      {(members.length > 1 || field('owner').value) && (
        <Select
          label="Owner"
          hideLabel
          options={[['', 'All owners'], ...members.map(({ id, name }) => [id, name] as const)]}
          {...field('owner')}
        />
      )}
    </search>
  );
}

/** Shown before the team's first job: an explanation, and an example to train. */
function FirstRun() {
  const canTrain = usePermission('jobs:write');
  const canUpload = usePermission('files:write');
  return (
    <section class="first-run stack">
      <h2>No jobs yet</h2>
      <p>
        A job trains an adapter from a base model and a file of examples. An adapter is a small file that
        changes the model's answers. You can follow the training, compare the result with the base model, call
        it through the API, or download it.
      </p>
      {canTrain && canUpload ? (
        <Example />
      ) : (
        <p class="soft">You have read-only access. A team member can start the first job.</p>
      )}
      <p class="small soft">
        The API is compatible with OpenAI’s clients: <a href="/docs">API reference</a>.
      </p>
    </section>
  );
}

function Example() {
  const cache = useQueryClient();
  const [, go] = useLocation();
  const { data: models, error } = useQuery({ queryKey: ['models'], queryFn: () => graft.models.list() });
  const bases = models?.filter(({ base_model }) => base_model === null).map(({ id }) => id);
  const base = bases?.includes(exampleJob.model) ? exampleJob.model : bases?.[0];
  const train = useMutation({
    mutationFn: async (model: string) => {
      const response = await fetch(exampleData);
      const content = new File([await response.blob()], 'bike-shop.jsonl', { type: 'application/jsonl' });
      const { id } = await graft.files.upload({ file: content, purpose: 'fine-tune' });
      return await graft.fineTuning.jobs.create({ ...exampleJob, model, training_file: id });
    },
    onSuccess: (job) => {
      mergeJobs(cache, [job]);
      go(`/jobs/${job.id}`);
    },
  });
  return (
    <div class="first-run-example panel card">
      <h3>Try it with an example</h3>
      <p>
        240 messages to a bicycle shop, labelled with a team and an urgency. The model learns to classify
        them, which takes a few minutes on two CPU cores.
      </p>
      <blockquote>
        <p>“Gear cable broke, leaving for the Alps first thing tomorrow.”</p>
        <p>
          <code>workshop/urgent</code>
        </p>
      </blockquote>
      {bases?.length === 0 ? (
        <p>
          There is no base model yet. The operator can add one with <code>graft admin base-models add</code>.
        </p>
      ) : (
        <Button
          kind="main"
          icon="play"
          busy={train.isPending}
          disabled={!base}
          onClick={() => base && train.mutate(base)}
        >
          {train.isPending ? 'Uploading…' : 'Train the example'}
        </Button>
      )}
      {(train.error ?? error) && <Problem error={train.error ?? error} />}
    </div>
  );
}

const maxSelected = 8;
const noLosses: number[] = [];

interface JobRow {
  job: FineTuningJob;
  losses: number[];
  owner: string;
  isSelected: boolean;
  /** The same function for all rows and renders. */
  onSelect: (id: string, isSelected: boolean) => void;
}

const columns: readonly Column<JobRow>[] = [
  {
    head: <span class="visually-hidden">Compare</span>,
    width: '2.75rem',
    cell: ({ job, isSelected, onSelect }) => (
      <input
        type="checkbox"
        class="jobs-pick"
        aria-label={`Compare ${jobName(job)}`}
        checked={isSelected}
        onChange={(event) => onSelect(job.id, event.currentTarget.checked)}
      />
    ),
  },
  {
    head: 'Job',
    isRowHeader: true,
    cell: ({ job }) => (
      <>
        <Cut text={jobName(job)} title={`${jobName(job)} (${job.id})`} href={`/jobs/${job.id}`} />
        <Cut
          text={`${job.sweep ? 'sweep' : methodName(job)} · ${job.model}`}
          title={job.model}
          class="small soft"
        />
      </>
    ),
  },
  { head: 'Status', width: '13rem', cell: ({ job }) => <JobStatusCell job={job} /> },
  {
    head: 'Loss',
    width: '12rem',
    cell: ({ job, losses }) => <Loss name={jobName(job)} losses={losses} last={job.progress?.loss} />,
  },
  { head: 'Owner', width: '7.5rem', cell: ({ job, owner }) => <Cut text={owner} title={job.created_by} /> },
  { head: 'Finished', width: '7.5rem', cell: ({ job }) => <JobEnd job={job} /> },
  { width: '7.5rem', actions: ({ job }) => <JobActions job={job} isSmall /> },
];

interface JobTableProps {
  jobs: readonly FineTuningJob[];
  losses: ReadonlyMap<string, number[]>;
  selected: readonly string[];
  onSelectionChange: (selected: readonly string[]) => void;
}

function JobTable({ jobs, losses, selected, onSelectionChange }: JobTableProps) {
  const { nameOf } = useMemberNames();
  const latest = useRef({ selected, onSelectionChange });
  latest.current = { selected, onSelectionChange };
  const onSelect = useRef((id: string, isSelected: boolean) => {
    const others = latest.current.selected.filter((each) => each !== id);
    latest.current.onSelectionChange(isSelected ? [...others, id].slice(-maxSelected) : others);
  });
  const rows = jobs.map(
    (job): JobRow => ({
      job,
      losses: losses.get(job.id) ?? noLosses,
      owner: job.created_by === null ? '–' : nameOf(job.created_by),
      isSelected: selected.includes(job.id),
      onSelect: onSelect.current,
    }),
  );
  return <Table label="Jobs" rows={rows} rowKey={({ job }) => job.id} minWidth="62rem" columns={columns} />;
}

function Loss({
  name,
  losses,
  last = null,
}: {
  name: string;
  losses: number[];
  last?: number | null | undefined;
}) {
  const now = last ?? losses.at(-1) ?? null;
  const description = losses.length > 1 ? `from ${measure(losses[0])} to ${measure(now)}` : 'no values yet';
  return (
    <span class="inline">
      <Sparkline values={losses} label={`Loss of ${name}: ${description}`} />
      <span class="jobs-loss-now">{measure(now)}</span>
    </span>
  );
}
