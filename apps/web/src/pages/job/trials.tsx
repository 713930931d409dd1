import type { FineTuningJob, JobTrial } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { count, measure } from '../../text/numbers.ts';

const words: Record<JobTrial['status'], string> = {
  waiting: 'waits',
  running: 'is trained',
  stopped: 'stopped: others were better',
  diverged: 'diverged',
  won: 'the best',
};

/** Of equal losses the first continues, which does not make the others worse. */
/** The loss, and the metric that decides where that is another. */
const evaluationText = (rung: JobTrial['rungs'][number] | undefined): string =>
  [measure(rung?.valid_loss), ...(rung?.value == null ? [] : [`(${measure(rung.value)})`])].join(' ');

const statusText = ({ status, tied_with: tied }: JobTrial): string =>
  tied === null ? words[status] : `stopped: as good as ${tied}, which comes first`;

/** Height of a row of one line. */
const rowRem = 2.45;

/** Every value of each option with every one of the others'. */
const trialsOf = ({ sweep }: FineTuningJob): number =>
  Object.values(sweep ?? {}).reduce(
    (product, values) => product * (Array.isArray(values) ? values.length : 1),
    1,
  );

/** Of a sweep, what it tries. */
export function Trials({ job }: { job: FineTuningJob }) {
  const { data, error, refetch } = useQuery({
    queryKey: ['trials', job.id],
    queryFn: () => graft.fineTuning.jobs.trials(job.id),
  });
  const varied = Object.keys(job.sweep ?? {});
  const optionOf = ({ peft, training }: JobTrial, option: string) => {
    const value = ({ ...training, ...peft } as Record<string, unknown>)[option];
    return typeof value === 'number' ? measure(value) : String(value ?? '–');
  };
  return (
    <section class="panel">
      <h2>Trials</h2>
      {error ? (
        <Problem error={error} onRetry={refetch} />
      ) : !data ? (
        <Waiting height={`${rowRem * (1 + trialsOf(job))}rem`} />
      ) : (
        <Table
          label="Trials"
          minWidth={`${35 + 8 * varied.length}rem`}
          rows={data.data}
          rowKey={({ trial }) => String(trial)}
          columns={[
            { head: 'Trial', names: true, width: '5rem', cell: ({ trial }) => trial },
            ...varied.map((option) => ({
              head: <code>{option}</code>,
              cell: (trial: JobTrial) => optionOf(trial, option),
            })),
            { head: 'Steps', end: true, width: '7rem', cell: ({ step }) => count(step) },
            {
              head: 'Evaluation',
              end: true,
              width: '8rem',
              cell: ({ rungs }) => evaluationText(rungs.at(-1)),
            },
            { head: 'Status', width: '12rem', cell: statusText },
          ]}
        />
      )}
    </section>
  );
}
