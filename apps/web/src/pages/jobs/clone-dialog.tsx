import type { FineTuningJob } from '@graft/client';
import { useMutation, useQueryClient } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { LinkButton } from '../../components/forms/button.tsx';
import { Checkbox, TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { toast } from '../../components/toast.tsx';
import { faultOf, restOf } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { mergeJobs, useJobVerb } from '../../data/jobs.ts';
import { jobName } from '../../text/job-names.ts';

const suffix = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** The same job once more, under another name or with another seed. */
export function CloneDialog({ job, onClose }: { job: FineTuningJob; onClose: () => void }) {
  const cache = useQueryClient();
  const [, go] = useLocation();
  const cancel = useJobVerb();
  const [name, setName] = useState(job.suffix ?? '');
  const [isSeedNew, setSeedNew] = useState(false);
  const isFaulty = name !== '' && !suffix.test(name);
  const clone = useMutation({
    mutationFn: (changes: { suffix: string | null; seed?: null }) =>
      graft.fineTuning.jobs.clone(job.id, changes),
    onSuccess: (made) => {
      mergeJobs(cache, [made]);
      onClose();
      go(`/jobs/${made.id}`);
      toast(`${jobName(made)} is made.`, {
        label: 'Undo',
        run: () => cancel.mutate({ id: made.id, verb: 'cancel' }),
      });
    },
  });
  const submit = () => {
    if (!isFaulty) clone.mutate({ suffix: name || null, ...(isSeedNew ? { seed: null } : {}) });
  };
  return (
    <FormDialog
      title={`Clone ${jobName(job)}`}
      action="Clone"
      busy={clone.isPending}
      error={restOf(clone.error, ['suffix'])}
      onSubmit={submit}
      onClose={onClose}
    >
      <p>A new job with the same data and options. What was left to Graft is chosen anew.</p>
      <TextField
        label="Name"
        hint="Part of the model’s name. Left empty, it is made of the job’s id."
        maxLength={64}
        value={name}
        onValue={setName}
        error={
          isFaulty
            ? 'Letters, digits, dots, dashes and underscores; the first a letter or a digit.'
            : faultOf(clone.error, 'suffix')
        }
      />
      <Checkbox label={`Another seed than ${job.seed}`} checked={isSeedNew} onChecked={setSeedNew} />
      <div class="row">
        <LinkButton small href={`/jobs/new?job=${job.id}`}>
          Change more first
        </LinkButton>
      </div>
    </FormDialog>
  );
}
