import type { FineTuningJob, JobCheckpoint } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Badge } from '../../components/badge.tsx';
import { Empty } from '../../components/empty.tsx';
import { CopyButton } from '../../components/forms/copy-button.tsx';
import { TextArea, TextField } from '../../components/forms/field.tsx';
import { DialogButton, FormDialog, useForm } from '../../components/forms/form.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';
import { jobName } from '../../text/job-names.ts';
import { bytes, count, measure, percent } from '../../text/numbers.ts';
import { PlaygroundLink } from '../playground/playground-link.tsx';

const description =
  'An adapter is saved at each evaluation, or at each epoch without validation data. You can call it by its name. The three newest and the best are kept.';

/** Adapters saved during training, which can be called and promoted to versions. */
export function Checkpoints({ job }: { job: FineTuningJob }) {
  const { data, error, refetch } = useQuery({
    queryKey: ['checkpoints', job.id],
    queryFn: () => graft.fineTuning.jobs.checkpoints.list(job.id, { limit: 1000 }).toArray(1000),
  });
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (data?.length === 0) {
    return (
      <Empty title="No checkpoints">
        <p>{job.sweep ? 'Sweeps keep no checkpoints. The result is the best adapter.' : description}</p>
      </Empty>
    );
  }
  return (
    <div class="panel">
      <p class="soft">{description}</p>
      <Table
        label="Checkpoints"
        minWidth="62rem"
        rows={data ?? []}
        rowKey={({ id }) => id}
        columns={[
          { head: 'Step', width: '9rem', cell: (row) => <Step checkpoint={row} /> },
          { head: 'Loss', end: true, width: '6rem', cell: ({ metrics }) => measure(metrics.train_loss) },
          { head: 'Eval loss', end: true, width: '7rem', cell: ({ metrics }) => measure(metrics.valid_loss) },
          {
            head: 'Accuracy',
            end: true,
            width: '7rem',
            cell: ({ metrics }) =>
              percent(metrics.valid_mean_token_accuracy ?? metrics.train_mean_token_accuracy),
          },
          { head: 'Size', end: true, width: '6rem', cell: (row) => bytes(row.bytes) },
          { head: 'Created', width: '7.5rem', cell: (row) => <Time at={row.created_at} /> },
          {
            head: 'Adapter',
            end: true,
            width: '19.5rem',
            cell: (row) => <Actions job={job} checkpoint={row} />,
          },
        ]}
      />
    </div>
  );
}

interface CheckpointProps {
  job: FineTuningJob;
  checkpoint: JobCheckpoint;
}

function Actions({ job, checkpoint }: CheckpointProps) {
  const canPromote = usePermission('adapters:write');
  const { step_number: step, fine_tuned_model_checkpoint: name } = checkpoint;
  return (
    <span class="row checkpoint-actions">
      <PlaygroundLink small a={job.model} b={name}>
        Try <span class="visually-hidden">step {count(step)}</span>
      </PlaygroundLink>
      <CopyButton text={name} label="Copy name" />
      {canPromote && (
        <DialogButton small icon="up" dialog={<Promote job={job} checkpoint={checkpoint} />}>
          Promote
        </DialogButton>
      )}
    </span>
  );
}

const Step = ({ checkpoint: { step_number, best } }: { checkpoint: JobCheckpoint }) => (
  <>
    {count(step_number)} {best && <Badge tone="good">best</Badge>}
  </>
);

function Promote({ job, checkpoint: { id, step_number } }: CheckpointProps) {
  const form = useForm({
    initial: { name: jobName(job), note: '' },
    run: ({ name, note }) =>
      graft.fineTuning.jobs.checkpoints.promote(job.id, id, { name, ...(note && { note }) }),
    successMessage: ({ version, adapter_name }) => `Promoted to version ${version} of ${adapter_name}.`,
  });
  return (
    <FormDialog title={`Promote step ${count(step_number)}`} action="Promote" form={form}>
      <p>Creates the next version of an adapter. The version is kept when the job is deleted.</p>
      <TextField label="Adapter" maxLength={64} {...form.field('name')} />
      <TextArea label="Note" rows={2} {...form.field('note')} />
    </FormDialog>
  );
}
