import type { FineTuningJob } from '@graft/client';
import { useMutation, useQueryClient } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { Dialog } from '../../components/dialog.tsx';
import { Button, LinkButton } from '../../components/forms/button.tsx';
import { Checkbox, TextField } from '../../components/forms/field.tsx';
import { wordsOf } from '../../components/problem.tsx';
import { toast } from '../../components/toast.tsx';
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
  const submit = (event: Event) => {
    event.preventDefault();
    if (!isFaulty) clone.mutate({ suffix: name || null, ...(isSeedNew ? { seed: null } : {}) });
  };
  return (
    <Dialog title={`Clone ${jobName(job)}`} onClose={onClose}>
      <form class="stack" onSubmit={submit} noValidate>
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
              : clone.error && wordsOf(clone.error).text
          }
        />
        <Checkbox label={`Another seed than ${job.seed}`} checked={isSeedNew} onChecked={setSeedNew} />
        <footer class="row dialog-actions">
          <LinkButton kind="quiet" href={`/jobs/new?job=${job.id}`}>
            Change more first
          </LinkButton>
          <Button onClick={onClose}>Leave it</Button>
          <Button kind="main" type="submit" busy={clone.isPending}>
            Clone
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
