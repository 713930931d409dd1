import type { FineTuningJob } from '@graft/client';
import { useQueryClient } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { Opened } from '../../components/dialog.tsx';
import { Button, IconButton, LinkButton } from '../../components/forms/button.tsx';
import { Checkbox, TextField } from '../../components/forms/field.tsx';
import { Confirm, FormDialog, useForm } from '../../components/forms/form.tsx';
import type { IconName } from '../../components/icon.tsx';
import { toast } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { isFinished, type JobAction, jobKey, jobsKey, mergeJobs, useJobAction } from '../../data/jobs.ts';
import { usePermission } from '../../data/session.ts';
import { jobName } from '../../text/job-names.ts';

/** Buttons for a job. Pausing and resuming offer an undo; cancelling and deleting ask for confirmation. */
export function JobActions({ job, isSmall = false }: { job: FineTuningJob; isSmall?: boolean }) {
  const [dialog, setDialog] = useState<'cancel' | 'clone' | 'delete' | null>(null);
  const cache = useQueryClient();
  const jobAction = useJobAction();
  const [path, go] = useLocation();
  if (!usePermission('jobs:write')) return null;
  const { id, status } = job;
  const name = jobName(job);
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
  const dialogs = {
    cancel: (
      <Confirm
        title={`Cancel ${name}?`}
        action="Cancel job"
        run={() => graft.fineTuning.jobs.cancel(id)}
        onDone={(cancelled) => mergeJobs(cache, [cancelled])}
      >
        <p>A cancelled job cannot be resumed, only cloned. Its checkpoints and curves are kept.</p>
      </Confirm>
    ),
    clone: <CloneDialog job={job} />,
    delete: (
      <Confirm
        title={`Delete ${name}?`}
        action="Delete job"
        run={() => graft.fineTuning.jobs.delete(id)}
        removes={[jobKey(id)]}
        invalidates={[jobsKey]}
        // The deleted job's page has nothing to show.
        onDone={() => path.includes(id) && go('/jobs')}
      >
        <p>
          Its events, curves and checkpoints are deleted permanently. Its adapter and your team's usage
          records are kept.
        </p>
      </Confirm>
    ),
  };
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
      {dialog && <Opened onClose={() => setDialog(null)}>{dialogs[dialog]}</Opened>}
    </span>
  );
}

const validName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

function CloneDialog({ job }: { job: FineTuningJob }) {
  const cache = useQueryClient();
  const [, go] = useLocation();
  const jobAction = useJobAction();
  const { field, toggle, ...form } = useForm({
    initial: { suffix: job.suffix ?? '', hasNewSeed: false },
    checksTyping: true,
    check: ({ suffix }) =>
      suffix === '' || validName.test(suffix)
        ? {}
        : { suffix: 'Use letters, digits, dots, dashes and underscores. Start with a letter or digit.' },
    run: ({ suffix, hasNewSeed }) =>
      graft.fineTuning.jobs.clone(job.id, { suffix: suffix || null, ...(hasNewSeed ? { seed: null } : {}) }),
    onDone: (created) => {
      mergeJobs(cache, [created]);
      go(`/jobs/${created.id}`);
      toast(`${jobName(created)} created.`, {
        label: 'Undo',
        run: () => jobAction.mutate({ id: created.id, action: 'cancel' }),
      });
    },
  });
  return (
    <FormDialog title={`Clone ${jobName(job)}`} action="Clone" form={form}>
      <p>Creates a new job with the same data and options. Automatic options are chosen again.</p>
      <TextField
        label="Name"
        hint="Part of the model name. Defaults to the end of the job id."
        maxLength={64}
        {...field('suffix')}
      />
      <Checkbox label={`New random seed (now ${job.seed})`} {...toggle('hasNewSeed')} />
      <div class="row">
        <LinkButton small href={`/jobs/new?job=${job.id}`}>
          Edit all options
        </LinkButton>
      </div>
    </FormDialog>
  );
}
