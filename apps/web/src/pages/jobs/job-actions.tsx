import type { FineTuningJob } from '@graft/client';
import { useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { Confirm } from '../../components/dialog.tsx';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { toast } from '../../components/toast.tsx';
import { actionsOf, type JobVerb, useDeleteJob, useJobVerb } from '../../data/jobs.ts';
import { useMay } from '../../data/session.ts';
import { jobName } from '../../text/job-names.ts';
import { CloneDialog } from './clone-dialog.tsx';

/** Pausing and resuming take each other back; cancelling cannot be, and asks. */
export function JobActions({ job, isSmall = false }: { job: FineTuningJob; isSmall?: boolean }) {
  const [asked, setAsked] = useState<'cancel' | 'clone' | 'delete' | null>(null);
  const act = useJobVerb();
  const erase = useDeleteJob();
  const [path, go] = useLocation();
  if (!useMay('jobs:write')) return null;
  const name = jobName(job);
  const can = actionsOf(job);
  const undoable = (verb: 'pause' | 'resume', told: string, opposite: JobVerb) =>
    act.mutate(
      { id: job.id, verb },
      {
        onSuccess: () =>
          toast(told, { label: 'Undo', run: () => act.mutate({ id: job.id, verb: opposite }) }),
      },
    );
  const busy = act.isPending;
  const Act = isSmall ? SmallButton : LabelledButton;
  return (
    <span class="job-actions">
      {can.pause && (
        <Act
          label={`Pause ${name}`}
          text="Pause"
          icon="pause"
          busy={busy}
          onClick={() => undoable('pause', `${name} pauses at its next checkpoint.`, 'resume')}
        />
      )}
      {can.resume && (
        <Act
          label={`Resume ${name}`}
          text="Resume"
          icon="play"
          busy={busy}
          onClick={() => undoable('resume', `${name} is in the queue again.`, 'pause')}
        />
      )}
      {can.cancel && (
        <Act
          label={`Cancel ${name}`}
          text="Cancel"
          icon="cancel"
          busy={busy}
          onClick={() => setAsked('cancel')}
        />
      )}
      <Act label={`Clone ${name}`} text="Clone" icon="clone" onClick={() => setAsked('clone')} />
      {can.delete && (
        <Act
          label={`Delete ${name}`}
          text="Delete"
          icon="trash"
          busy={erase.isPending}
          onClick={() => setAsked('delete')}
        />
      )}
      {asked === 'delete' && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete the job"
          busy={erase.isPending}
          onConfirm={() =>
            erase.mutate(job.id, {
              // Its own page has nothing more to show.
              onSuccess: () => path.includes(job.id) && go('/jobs'),
              onSettled: () => setAsked(null),
            })
          }
          onClose={() => setAsked(null)}
        >
          <p>
            Its events, curves and checkpoints are gone for good. The adapter that it made stays, and so does
            what it used in your team's usage.
          </p>
        </Confirm>
      )}
      {asked === 'cancel' && (
        <Confirm
          title={`Cancel ${name}?`}
          action="Cancel the job"
          busy={busy}
          onConfirm={() => act.mutate({ id: job.id, verb: 'cancel' }, { onSettled: () => setAsked(null) })}
          onClose={() => setAsked(null)}
        >
          <p>It stops for good. Its checkpoints and its curves stay; it cannot be resumed, only cloned.</p>
        </Confirm>
      )}
      {asked === 'clone' && <CloneDialog job={job} onClose={() => setAsked(null)} />}
    </span>
  );
}

const SmallButton = ({ text: _, ...rest }: Labelled) => <IconButton small {...rest} />;

type Labelled = Parameters<typeof IconButton>[0] & { text: string };

const LabelledButton = ({ label, text, icon, ...rest }: Labelled) => (
  <Button icon={icon} title={label} {...rest}>
    {text}
  </Button>
);
