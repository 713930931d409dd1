import type { FineTuningJob, JobCheckpoint } from '@graft/client';
import { useMutation, useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Empty } from '../../components/empty.tsx';
import { Button, LinkButton } from '../../components/forms/button.tsx';
import { CopyButton } from '../../components/forms/copy-button.tsx';
import { TextArea, TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { toast } from '../../components/toast.tsx';
import { faultOf, restOf } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { useMay } from '../../data/session.ts';
import { playgroundWith } from '../../router/playground-with.ts';
import { jobName } from '../../text/job-names.ts';
import { bytes, count, measure, percent } from '../../text/numbers.ts';

const kept =
  'The adapter of each evaluation (of each epoch, without validation data) can be called by its name. The three newest are kept, and the best.';

/** Adapters of the job on the way, to be called and made versions. */
export function Checkpoints({ job }: { job: FineTuningJob }) {
  const [promoted, setPromoted] = useState<JobCheckpoint | null>(null);
  const mayPromote = useMay('adapters:write');
  const mayCall = useMay('completions:write');
  const { data, error, refetch } = useQuery({
    queryKey: ['checkpoints', job.id],
    queryFn: () => graft.fineTuning.jobs.checkpoints.list(job.id, { limit: 1000 }).toArray(1000),
  });
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (data?.length === 0) {
    return (
      <Empty title="No adapter of a step is kept">
        <p>{job.sweep ? 'The trials of a sweep keep none: its best adapter is the result.' : kept}</p>
      </Empty>
    );
  }
  return (
    <div class="panel">
      <p class="soft">{kept}</p>
      <Table
        label="Checkpoints"
        minWidth="62rem"
        rows={data ?? []}
        rowKey={({ id }) => id}
        columns={[
          { head: 'Step', names: true, width: '9rem', cell: (row) => <Step checkpoint={row} /> },
          { head: 'Loss', end: true, width: '6rem', cell: ({ metrics }) => measure(metrics.train_loss) },
          {
            head: 'Evaluation',
            end: true,
            width: '7rem',
            cell: ({ metrics }) => measure(metrics.valid_loss),
          },
          {
            head: 'Accuracy',
            end: true,
            width: '7rem',
            cell: ({ metrics }) =>
              percent(metrics.valid_mean_token_accuracy ?? metrics.train_mean_token_accuracy),
          },
          { head: 'Size', end: true, width: '6rem', cell: (row) => bytes(row.bytes) },
          { head: 'Written', width: '7.5rem', cell: (row) => <Time at={row.created_at} /> },
          {
            head: 'Adapter',
            end: true,
            width: '19.5rem',
            cell: (row) => (
              <span class="row checkpoint-actions">
                {mayCall && (
                  <LinkButton
                    small
                    icon="talk"
                    href={playgroundWith(job.model, row.fine_tuned_model_checkpoint)}
                  >
                    Try it <span class="visually-hidden">at step {count(row.step_number)}</span>
                  </LinkButton>
                )}
                <CopyButton text={row.fine_tuned_model_checkpoint} label="Copy name" />
                {mayPromote && (
                  <Button small icon="up" onClick={() => setPromoted(row)}>
                    Promote
                  </Button>
                )}
              </span>
            ),
          },
        ]}
      />
      {promoted && <Promote job={job} checkpoint={promoted} onClose={() => setPromoted(null)} />}
    </div>
  );
}

const Step = ({ checkpoint: { step_number, best } }: { checkpoint: JobCheckpoint }) => (
  <>
    {count(step_number)}
    {best && <span class="checkpoint-best">best</span>}
  </>
);

function Promote({
  job,
  checkpoint,
  onClose,
}: {
  job: FineTuningJob;
  checkpoint: JobCheckpoint;
  onClose: () => void;
}) {
  const [name, setName] = useState(jobName(job));
  const [note, setNote] = useState('');
  const promote = useMutation({
    mutationFn: (options: { name: string; note?: string }) =>
      graft.fineTuning.jobs.checkpoints.promote(job.id, checkpoint.id, options),
    onSuccess: (version) => {
      onClose();
      toast(`It is version ${version.version} of ${version.adapter_name}.`);
    },
  });
  return (
    <FormDialog
      title={`Promote step ${count(checkpoint.step_number)}`}
      action="Promote"
      busy={promote.isPending}
      error={restOf(promote.error, ['name', 'note'])}
      onSubmit={() => promote.mutate({ name, ...(note && { note }) })}
      onClose={onClose}
    >
      <p>It becomes the next version of an adapter, and is kept when the job is gone.</p>
      <TextField
        label="Adapter"
        value={name}
        onValue={setName}
        maxLength={64}
        error={faultOf(promote.error, 'name')}
      />
      <TextArea label="Note" value={note} onValue={setNote} rows={2} error={faultOf(promote.error, 'note')} />
    </FormDialog>
  );
}
