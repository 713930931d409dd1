import { GraftApiError, type JobCreateParams, type Model } from '@graft/client';
import { useMutation, useQueryClient } from '@tanstack/preact-query';
import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { Empty } from '../../components/empty.tsx';
import { Choice } from '../../components/forms/field.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { toast, toastError } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { useJobOptions } from '../../data/job-options.ts';
import { useModels } from '../../data/models.ts';
import { usePermission } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { type Change, DataPart } from './data-part.tsx';
import { type Draft, type Faults, fileRows, groupFaults, partAt } from './draft.ts';
import { EstimatePanel } from './estimate-panel.tsx';
import { MethodPart } from './method-part.tsx';
import { NamePart } from './name-part.tsx';
import { PreviewPart, usePreview } from './preview-part.tsx';
import { SweepPart } from './sweep-part.tsx';
import { TextView } from './text-view.tsx';
import { TrainingMethodPart } from './training-method-part.tsx';
import { TrainingPart } from './training-part.tsx';
import { useCheck, useDraft } from './use-draft.ts';

const up = { href: '/jobs', text: 'Jobs' };

/** Creates a job, with a form generated from the API's option schemas, or as YAML or JSON. */
export function NewJob() {
  const canTrain = usePermission('jobs:write');
  const { draft, change, from, error, refetch } = useDraft();
  const models = useModels();
  if (!canTrain) {
    return (
      <>
        <PageHead title="New job" up={up} />
        <Empty title="You have read-only access">
          <p>Members and admins can create jobs. Ask a team admin to change your role.</p>
        </Empty>
      </>
    );
  }
  const fault = error ?? models.error;
  return (
    <>
      <PageHead title="New job" up={up}>
        {from && (
          <p class="soft">
            Copied from <code>{from}</code>.
          </p>
        )}
      </PageHead>
      {fault ? (
        <Problem error={fault} onRetry={() => (error ? refetch() : models.refetch())} />
      ) : (
        draft && models.data && <JobForm draft={draft} change={change} models={models.data} />
      )}
    </>
  );
}

function JobForm({
  draft: initial,
  change,
  models,
}: {
  draft: Draft;
  change: Change;
  models: readonly Model[];
}) {
  const [, go] = useLocation();
  const cache = useQueryClient();
  const [{ view }, , field] = useQueryState({ view: 'form' });
  // Preselects the first base model.
  const [first] = models.filter(({ base_model }) => base_model === null);
  const draft = initial.model === undefined && first ? { model: first.id, ...initial } : initial;
  const model = typeof draft.model === 'string' ? draft.model : '';
  const start = typeof draft.start_from === 'string' ? draft.start_from : '';
  const isKnown = models.some(({ id }) => id === model);
  const options = useJobOptions(isKnown ? model : '', isKnown ? start : '');
  const check = useCheck(draft);
  const [rejected, setRejected] = useState<{ request: string; faults: Faults } | null>(null);
  const create = useMutation({
    mutationFn: (body: Draft) => graft.fineTuning.jobs.create(body as unknown as JobCreateParams),
    onSuccess: async (job) => {
      toast('Job queued.');
      go(`/jobs/${job.id}`);
      await cache.invalidateQueries({ queryKey: ['jobs'] });
    },
    onError: (error, body) => {
      if (!(error instanceof GraftApiError) || error.status >= 500) return toastError(error);
      const details = error.details.length > 0 ? error.details : [error];
      setRejected({ request: JSON.stringify(body), faults: groupFaults(details) });
    },
  });

  const missing = [...(model ? [] : ['a model']), ...(hasTrainingFiles(draft) ? [] : ['a training file'])];
  const isRejected = rejected?.request === JSON.stringify(draft);
  const found = isRejected ? rejected.faults : groupFaults(check.data?.faults ?? []);
  // Required fields that are still empty are no errors yet.
  const faults = new Map([...found].filter(([path]) => !(missing.length > 0 && isMissing(path, draft))));
  const plan = check.data?.plan ?? null;
  const setDraft = (next: Draft) => change(() => next);
  const preview = usePreview(draft, !isRejected && !check.isStale && check.data?.options_accepted === true);
  const form = { draft, setDraft, faults: new Map([...preview.faults, ...faults]) };
  const submit = (event: Event) => {
    event.preventDefault();
    if (missing.length === 0 && faults.size === 0 && !create.isPending) create.mutate(draft);
  };
  return (
    <form class="new-job" onSubmit={submit} noValidate>
      <div class="new-job-parts stack">
        <Choice label="View" {...field('view')} options={{ form: 'Form', yaml: 'YAML', json: 'JSON' }} />
        {view === 'yaml' || view === 'json' ? (
          <>
            <TextView language={view} draft={draft} setDraft={setDraft} />
            <Part title="Preview">
              <PreviewPart preview={preview} />
            </Part>
          </>
        ) : (
          <Loaded query={options} height="60rem">
            {(data) => (
              <>
                <Part title="Model and data">
                  <DataPart form={form} models={models} change={change} />
                </Part>
                {parts.map(([title, Fields]) => (
                  <Part key={title} title={title}>
                    <Fields form={form} options={data} plan={plan} preview={preview} />
                  </Part>
                ))}
              </>
            )}
          </Loaded>
        )}
      </div>
      <EstimatePanel
        plan={plan}
        faults={faults}
        missing={missing}
        isStale={check.isStale}
        error={check.error}
        onRetry={check.refetch}
        onChange={(training) =>
          setDraft({ ...draft, training: { ...partAt(draft, 'training'), ...training } })
        }
        isBusy={create.isPending}
      />
    </form>
  );
}

const parts = [
  ['Training method', TrainingMethodPart],
  ['Adapter method', MethodPart],
  ['Training', TrainingPart],
  ['Preview', PreviewPart],
  ['Sweep', SweepPart],
  ['Job details', NamePart],
] as const;

function hasTrainingFiles(draft: Draft): boolean {
  const rows = fileRows(draft, 'training');
  return rows.length > 0 && rows.every(({ file }) => file !== '');
}

const isMissing = (path: string, draft: Draft) =>
  (path === 'model' && draft.model === undefined) ||
  (/^training_file(s\[\d+\])?/.test(path) && !hasTrainingFiles(draft));

function Part({ title, children }: { title: string; children: ComponentChildren }) {
  const id = useId();
  return (
    <section class="stack" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}
