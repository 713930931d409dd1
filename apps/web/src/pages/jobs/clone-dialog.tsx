import type { FineTuningJob } from '@graft/client';
import { useMutation, useQueryClient } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { LinkButton } from '../../components/forms/button.tsx';
import { Checkbox, TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { toast } from '../../components/toast.tsx';
import { fieldError, otherError } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { mergeJobs, useJobAction } from '../../data/jobs.ts';
import { jobName } from '../../text/job-names.ts';

const validName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Creates a copy of a job, with another name or seed. */
export function CloneDialog({ job, onClose }: { job: FineTuningJob; onClose: () => void }) {
  const cache = useQueryClient();
  const [, go] = useLocation();
  const jobAction = useJobAction();
  const [name, setName] = useState(job.suffix ?? '');
  const [hasNewSeed, setHasNewSeed] = useState(false);
  const isInvalid = name !== '' && !validName.test(name);
  const clone = useMutation({
    mutationFn: (changes: { suffix: string | null; seed?: null }) =>
      graft.fineTuning.jobs.clone(job.id, changes),
    onSuccess: (created) => {
      mergeJobs(cache, [created]);
      onClose();
      go(`/jobs/${created.id}`);
      toast(`${jobName(created)} created.`, {
        label: 'Undo',
        run: () => jobAction.mutate({ id: created.id, action: 'cancel' }),
      });
    },
  });
  const submit = () => {
    if (!isInvalid) clone.mutate({ suffix: name || null, ...(hasNewSeed ? { seed: null } : {}) });
  };
  return (
    <FormDialog
      title={`Clone ${jobName(job)}`}
      action="Clone"
      busy={clone.isPending}
      error={otherError(clone.error, ['suffix'])}
      onSubmit={submit}
      onClose={onClose}
    >
      <p>Creates a new job with the same data and options. Automatic options are chosen again.</p>
      <TextField
        label="Name"
        hint="Part of the model name. Defaults to the end of the job id."
        maxLength={64}
        value={name}
        onValue={setName}
        error={
          isInvalid
            ? 'Use letters, digits, dots, dashes and underscores. Start with a letter or digit.'
            : fieldError(clone.error, 'suffix')
        }
      />
      <Checkbox label={`New random seed (now ${job.seed})`} checked={hasNewSeed} onChecked={setHasNewSeed} />
      <div class="row">
        <LinkButton small href={`/jobs/new?job=${job.id}`}>
          Edit all options
        </LinkButton>
      </div>
    </FormDialog>
  );
}
