import type { FineTuningJob } from '@graft/client';
import { useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { Confirm } from '../../components/dialog.tsx';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { toast } from '../../components/toast.tsx';
import { availableActions, type JobAction, useDeleteJob, useJobAction } from '../../data/jobs.ts';
import { usePermission } from '../../data/session.ts';
import { jobName } from '../../text/job-names.ts';
import { CloneDialog } from './clone-dialog.tsx';

/** Buttons for a job. Pausing and resuming offer an undo; cancelling and deleting ask for confirmation. */
export function JobActions({ job, isSmall = false }: { job: FineTuningJob; isSmall?: boolean }) {
  const [dialog, setDialog] = useState<'cancel' | 'clone' | 'delete' | null>(null);
  const jobAction = useJobAction();
  const deleteJob = useDeleteJob();
  const [path, go] = useLocation();
  if (!usePermission('jobs:write')) return null;
  const name = jobName(job);
  const available = availableActions(job);
  const runWithUndo = (action: 'pause' | 'resume', message: string, undo: JobAction) =>
    jobAction.mutate(
      { id: job.id, action },
      {
        onSuccess: () =>
          toast(message, { label: 'Undo', run: () => jobAction.mutate({ id: job.id, action: undo }) }),
      },
    );
  const busy = jobAction.isPending;
  const ActionButton = isSmall ? SmallButton : LabelledButton;
  return (
    <span class="job-actions">
      {available.pause && (
        <ActionButton
          label={`Pause ${name}`}
          text="Pause"
          icon="pause"
          busy={busy}
          onClick={() => runWithUndo('pause', `${name} will pause at its next checkpoint.`, 'resume')}
        />
      )}
      {available.resume && (
        <ActionButton
          label={`Resume ${name}`}
          text="Resume"
          icon="play"
          busy={busy}
          onClick={() => runWithUndo('resume', `${name} queued again.`, 'pause')}
        />
      )}
      {available.cancel && (
        <ActionButton
          label={`Cancel ${name}`}
          text="Cancel"
          icon="cancel"
          busy={busy}
          onClick={() => setDialog('cancel')}
        />
      )}
      <ActionButton label={`Clone ${name}`} text="Clone" icon="clone" onClick={() => setDialog('clone')} />
      {available.delete && (
        <ActionButton
          label={`Delete ${name}`}
          text="Delete"
          icon="trash"
          busy={deleteJob.isPending}
          onClick={() => setDialog('delete')}
        />
      )}
      {dialog === 'delete' && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete job"
          busy={deleteJob.isPending}
          onConfirm={() =>
            deleteJob.mutate(job.id, {
              // The deleted job's page has nothing to show.
              onSuccess: () => path.includes(job.id) && go('/jobs'),
              onSettled: () => setDialog(null),
            })
          }
          onClose={() => setDialog(null)}
        >
          <p>
            Its events, curves and checkpoints are deleted permanently. Its adapter and your team's usage
            records are kept.
          </p>
        </Confirm>
      )}
      {dialog === 'cancel' && (
        <Confirm
          title={`Cancel ${name}?`}
          action="Cancel job"
          busy={busy}
          onConfirm={() =>
            jobAction.mutate({ id: job.id, action: 'cancel' }, { onSettled: () => setDialog(null) })
          }
          onClose={() => setDialog(null)}
        >
          <p>A cancelled job cannot be resumed, only cloned. Its checkpoints and curves are kept.</p>
        </Confirm>
      )}
      {dialog === 'clone' && <CloneDialog job={job} onClose={() => setDialog(null)} />}
    </span>
  );
}

const SmallButton = ({ text: _, ...rest }: ActionProps) => <IconButton small {...rest} />;

type ActionProps = Parameters<typeof IconButton>[0] & { text: string };

const LabelledButton = ({ label, text, icon, ...rest }: ActionProps) => (
  <Button icon={icon} title={label} {...rest}>
    {text}
  </Button>
);
