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
import { fieldError, otherError } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';
import { playgroundLink } from '../../router/playground-link.ts';
import { jobName } from '../../text/job-names.ts';
import { bytes, count, measure, percent } from '../../text/numbers.ts';

const description =
  'An adapter is saved at each evaluation, or at each epoch without validation data. You can call it by its name. The three newest and the best are kept.';

/** Adapters saved during training, which can be called and promoted to versions. */
export function Checkpoints({ job }: { job: FineTuningJob }) {
  const [promoted, setPromoted] = useState<JobCheckpoint | null>(null);
  const canPromote = usePermission('adapters:write');
  const canCall = usePermission('completions:write');
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
          { head: 'Step', isRowHeader: true, width: '9rem', cell: (row) => <Step checkpoint={row} /> },
          { head: 'Loss', end: true, width: '6rem', cell: ({ metrics }) => measure(metrics.train_loss) },
          {
            head: 'Eval loss',
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
          { head: 'Created', width: '7.5rem', cell: (row) => <Time at={row.created_at} /> },
          {
            head: 'Adapter',
            end: true,
            width: '19.5rem',
            cell: (row) => (
              <span class="row checkpoint-actions">
                {canCall && (
                  <LinkButton
                    small
                    icon="chat"
                    href={playgroundLink(job.model, row.fine_tuned_model_checkpoint)}
                  >
                    Try <span class="visually-hidden">step {count(row.step_number)}</span>
                  </LinkButton>
                )}
                <CopyButton text={row.fine_tuned_model_checkpoint} label="Copy name" />
                {canPromote && (
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
      toast(`Promoted to version ${version.version} of ${version.adapter_name}.`);
    },
  });
  return (
    <FormDialog
      title={`Promote step ${count(checkpoint.step_number)}`}
      action="Promote"
      busy={promote.isPending}
      error={otherError(promote.error, ['name', 'note'])}
      onSubmit={() => promote.mutate({ name, ...(note && { note }) })}
      onClose={onClose}
    >
      <p>Creates the next version of an adapter. The version is kept when the job is deleted.</p>
      <TextField
        label="Adapter"
        value={name}
        onValue={setName}
        maxLength={64}
        error={fieldError(promote.error, 'name')}
      />
      <TextArea
        label="Note"
        value={note}
        onValue={setNote}
        rows={2}
        error={fieldError(promote.error, 'note')}
      />
    </FormDialog>
  );
}
