import type { FineTuningJob } from '@graft/client';
import { useState } from 'preact/hooks';
import { Confirm } from '../../components/dialog.tsx';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { toast } from '../../components/toast.tsx';
import { actionsOf, type JobVerb, useJobVerb } from '../../data/jobs.ts';
import { useMay } from '../../data/session.ts';
import { jobName } from '../../text/job-names.ts';
import { CloneDialog } from './clone-dialog.tsx';

/** Pausing and resuming take each other back; cancelling cannot be, and asks. */
export function JobActions({ job, isSmall = false }: { job: FineTuningJob; isSmall?: boolean }) {
  const [asked, setAsked] = useState<'cancel' | 'clone' | null>(null);
  const act = useJobVerb();
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
