import type { FineTuningJob, JobTrial } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Swatch } from '../../components/chart/legend.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { graft } from '../../data/graft.ts';
import { count, measure } from '../../text/numbers.ts';

const statusLabels: Record<JobTrial['status'], string> = {
  waiting: 'Waiting',
  running: 'Running',
  stopped: 'Stopped early',
  diverged: 'Diverged',
  won: 'Best',
};

/** The validation loss, followed by the deciding metric if that is another one. */
const evaluationText = (rung: JobTrial['rungs'][number] | undefined): string =>
  [measure(rung?.valid_loss), ...(rung?.value == null ? [] : [`(${measure(rung.value)})`])].join(' ');

/** If trials tie, the first one continues. */
const statusText = ({ status, tied_with: tied }: JobTrial): string =>
  tied === null ? statusLabels[status] : `Stopped early: tied with ${tied}, which is first`;

const rowRem = 2.45;

const countTrials = ({ sweep }: FineTuningJob): number =>
  Object.values(sweep ?? {}).reduce(
    (product, values) => product * (Array.isArray(values) ? values.length : 1),
    1,
  );

export function Trials({ job }: { job: FineTuningJob }) {
  const trials = useQuery({
    queryKey: ['trials', job.id],
    queryFn: () => graft.fineTuning.jobs.trials(job.id),
  });
  const swept = Object.keys(job.sweep ?? {});
  const optionText = ({ peft, training }: JobTrial, option: string) => {
    const value = ({ ...training, ...peft } as Record<string, unknown>)[option];
    return typeof value === 'number' ? measure(value) : String(value ?? '–');
  };
  return (
    <section class="panel">
      <h2>Trials</h2>
      <Loaded query={trials} height={`${rowRem * (1 + countTrials(job))}rem`}>
        {({ data }) => (
          <Table
            label="Trials"
            minWidth={`${35 + 8 * swept.length}rem`}
            rows={data}
            rowKey={({ trial }) => String(trial)}
            columns={[
              {
                head: 'Trial',
                width: '5rem',
                cell: ({ trial }) => (
                  <span class="inline">
                    <Swatch colour={trial - 1} /> {trial}
                  </span>
                ),
              },
              ...swept.map((option) => ({
                head: <code>{option}</code>,
                cell: (trial: JobTrial) => optionText(trial, option),
              })),
              { head: 'Steps', end: true, width: '7rem', cell: ({ step }) => count(step) },
              {
                head: 'Eval loss',
                end: true,
                width: '8rem',
                cell: ({ rungs }) => evaluationText(rungs.at(-1)),
              },
              { head: 'Status', width: '12rem', cell: statusText },
            ]}
          />
        )}
      </Loaded>
    </section>
  );
}
