import { GraftApiError, type JobCreateParams, type Model } from '@graft/client';
import { useMutation, useQueryClient } from '@tanstack/preact-query';
import type { ComponentChildren, FunctionComponent } from 'preact';
import { useId, useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { Disclosure } from '../../components/disclosure.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
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
import { count, counted, measure } from '../../text/numbers.ts';
import { type Change, DataPart, ValidationPart } from './data-part.tsx';
import { DetailsPart } from './details-part.tsx';
import { type Draft, type Faults, fileRows, groupFaults, partAt, withValue } from './draft.ts';
import { EstimatePanel } from './estimate-panel.tsx';
import { MethodPart } from './method-part.tsx';
import type { Form, PartProps } from './option-field.tsx';
import { type JobPreview, PreviewPart, usePreview } from './preview-part.tsx';
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
  const badLines = preview.report?.report?.bad_lines;
  const paths = [...form.faults.keys(), ...(badLines?.count || preview.error ? ['preview'] : [])];
  const problems = [...form.faults.values(), ...(badLines?.listed ?? []).map(({ message }) => message)];
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
                  <ToolsOffer form={form} problems={problems} />
                  <Chosen options={data} plan={plan} />
                </Part>
                <div class="new-job-folds">
                  {folds.map(({ title, Fields, has }) => (
                    <section key={title} aria-label={title}>
                      <Disclosure summary={<h2>{title}</h2>} needed={paths.some((path) => has.test(path))}>
                        <div class="stack">
                          <Fields form={form} options={data} plan={plan} preview={preview} />
                        </div>
                      </Disclosure>
                    </section>
                  ))}
                </div>
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

/** Parts that few jobs need, with the fields that they have: a fault of one opens its part. */
const folds: { title: string; Fields: FunctionComponent<FoldProps>; has: RegExp }[] = [
  { title: 'Training method', Fields: TrainingMethodPart, has: /^(method|training\.preference)/ },
  { title: 'Adapter method', Fields: MethodPart, has: /^peft/ },
  { title: 'Training', Fields: TrainingPart, has: /^training(\.(?!preference|validation_)|$)/ },
  { title: 'Validation data', Fields: ValidationPart, has: /^(validation_|training\.validation_)/ },
  { title: 'Preview', Fields: PreviewPart, has: /^preview/ },
  { title: 'Sweep', Fields: SweepPart, has: /^sweep/ },
  { title: 'Job details', Fields: DetailsPart, has: /^(priority|seed|metadata)/ },
];

type FoldProps = PartProps & { preview: JobPreview };

/** The main values that Graft or the draft chose, and why, in one line. */
function Chosen({ options: { methods }, plan }: Omit<PartProps, 'form'>) {
  if (!plan) return <p class="new-job-chosen soft">The method and its values appear here.</p>;
  const { peft, training, training_reasons: reasons } = plan;
  const { n_epochs: epochs, max_steps: steps, batch_size: batch, learning_rate: rate } = training;
  const title = methods.find(({ peft_type }) => peft_type === peft.peft_type)?.title ?? peft.peft_type;
  const rank = 'r' in peft && typeof peft.r === 'number' ? ` with rank ${peft.r}` : '';
  const values = [
    [`${title}${rank}`],
    steps === null ? [counted(epochs, 'epoch'), reasons.n_epochs] : [counted(steps, 'step')],
    [`batches of ${count(batch)}`, reasons.batch_size],
    [`learning rate ${measure(rate)}`, reasons.learning_rate],
  ];
  const text = values.map(([value, reason]) => (reason ? `${value} (${reason})` : value)).join(', ');
  return <p class="new-job-chosen soft">{text}.</p>;
}

/** Offers the template that adds tools, where the data have tools and the base model's template has none. */
function ToolsOffer({ form: { draft, setDraft }, problems }: { form: Form; problems: readonly string[] }) {
  if (!problems.some((problem) => problem.includes('"chat_template": "tools"'))) return null;
  return (
    <div class="new-job-offer card tight" role="note">
      <p>The file has tools, and the chat template of this base model has none.</p>
      <Button small onClick={() => setDraft(withValue(draft, 'training.chat_template', 'tools'))}>
        Add tools to the chat template
      </Button>
    </div>
  );
}

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
