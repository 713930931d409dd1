import type { FineTuningJob } from '@graft/client';
import { useQueryClient } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { Confirm } from '../../components/forms/form.tsx';
import type { IconName } from '../../components/icon.tsx';
import { toast } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { isFinished, type JobAction, jobKey, jobsKey, mergeJobs, useJobAction } from '../../data/jobs.ts';
import { usePermission } from '../../data/session.ts';
import { jobName } from '../../text/job-names.ts';
import { CloneDialog } from './clone-dialog.tsx';

/** Buttons for a job. Pausing and resuming offer an undo; cancelling and deleting ask for confirmation. */
export function JobActions({ job, isSmall = false }: { job: FineTuningJob; isSmall?: boolean }) {
  const [dialog, setDialog] = useState<'cancel' | 'clone' | 'delete' | null>(null);
  const cache = useQueryClient();
  const jobAction = useJobAction();
  const [path, go] = useLocation();
  if (!usePermission('jobs:write')) return null;
  const { id, status } = job;
  const name = jobName(job);
  const close = () => setDialog(null);
  const runWithUndo = (action: JobAction, message: string, undo: JobAction) =>
    jobAction.mutate(
      { id, action },
      {
        onSuccess: () => toast(message, { label: 'Undo', run: () => jobAction.mutate({ id, action: undo }) }),
      },
    );
  const isEnded = isFinished(status);
  const buttons: { text: string; icon: IconName; isShown: boolean; run: () => void }[] = [
    {
      text: 'Pause',
      icon: 'pause',
      isShown: status === 'running' || status === 'queued',
      run: () => runWithUndo('pause', `${name} will pause at its next checkpoint.`, 'resume'),
    },
    {
      text: 'Resume',
      icon: 'play',
      isShown: status === 'paused',
      run: () => runWithUndo('resume', `${name} queued again.`, 'pause'),
    },
    { text: 'Cancel', icon: 'close', isShown: !isEnded, run: () => setDialog('cancel') },
    { text: 'Clone', icon: 'copy', isShown: true, run: () => setDialog('clone') },
    { text: 'Delete', icon: 'trash', isShown: isEnded, run: () => setDialog('delete') },
  ];
  return (
    <span class="row job-actions">
      {buttons
        .filter(({ isShown }) => isShown)
        .map(({ text, icon, run }) => {
          const label = `${text} ${name}`;
          const busy = jobAction.isPending && text !== 'Clone';
          return isSmall ? (
            <IconButton key={text} small label={label} icon={icon} busy={busy} onClick={run} />
          ) : (
            <Button key={text} title={label} icon={icon} busy={busy} onClick={run}>
              {text}
            </Button>
          );
        })}
      {dialog === 'delete' && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete job"
          run={() => graft.fineTuning.jobs.delete(id)}
          removes={[jobKey(id)]}
          invalidates={[jobsKey]}
          // The deleted job's page has nothing to show.
          onDone={() => path.includes(id) && go('/jobs')}
          onClose={close}
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
          run={() => graft.fineTuning.jobs.cancel(id)}
          onDone={(cancelled) => mergeJobs(cache, [cancelled])}
          onClose={close}
        >
          <p>A cancelled job cannot be resumed, only cloned. Its checkpoints and curves are kept.</p>
        </Confirm>
      )}
      {dialog === 'clone' && <CloneDialog job={job} onClose={close} />}
    </span>
  );
}
