import type { FineTuningJob } from '@graft/client';
import { useQueryClient } from '@tanstack/preact-query';
import { useLocation } from 'wouter-preact';
import { LinkButton } from '../../components/forms/button.tsx';
import { Checkbox, TextField } from '../../components/forms/field.tsx';
import { FormDialog, useForm } from '../../components/forms/form.tsx';
import { toast } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { mergeJobs, useJobAction } from '../../data/jobs.ts';
import { jobName } from '../../text/job-names.ts';

const validName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Creates a copy of a job, with another name or seed. */
export function CloneDialog({ job, onClose }: { job: FineTuningJob; onClose: () => void }) {
  const cache = useQueryClient();
  const [, go] = useLocation();
  const jobAction = useJobAction();
  const { field, values, set, ...form } = useForm({
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
      onClose();
      go(`/jobs/${created.id}`);
      toast(`${jobName(created)} created.`, {
        label: 'Undo',
        run: () => jobAction.mutate({ id: created.id, action: 'cancel' }),
      });
    },
  });
  return (
    <FormDialog title={`Clone ${jobName(job)}`} action="Clone" form={form} onClose={onClose}>
      <p>Creates a new job with the same data and options. Automatic options are chosen again.</p>
      <TextField
        label="Name"
        hint="Part of the model name. Defaults to the end of the job id."
        maxLength={64}
        {...field('suffix')}
      />
      <Checkbox
        label={`New random seed (now ${job.seed})`}
        checked={values.hasNewSeed}
        onChecked={(hasNewSeed) => set({ hasNewSeed })}
      />
      <div class="row">
        <LinkButton small href={`/jobs/new?job=${job.id}`}>
          Edit all options
        </LinkButton>
      </div>
    </FormDialog>
  );
}
