import type { FineTuningJob, JobCreateParams } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { CodeBlock } from '../../components/code-block.tsx';
import { Choice } from '../../components/forms/field.tsx';
import { type Fact, Facts } from '../../components/lists/facts.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { graft } from '../../data/graft.ts';
import { useQueryState } from '../../router/query-state.ts';
import { valueText } from '../../text/numbers.ts';
import { hyperparametersOf, omitEmpty, toCommand, toCurl, toPython } from './request-code.ts';

const forms = [
  ['curl', 'curl', toCurl],
  ['python', 'Python', toPython],
  ['cli', 'CLI', toCommand],
] as const;

const automatic = 'Automatic';

interface Row {
  name: string;
  requested: string;
  used: string;
  reason: string;
}

/** Requested and used options with reasons, and code that creates the same job. */
export function Configuration({ job }: { job: FineTuningJob }) {
  const request = useQuery({
    queryKey: ['request', job.id],
    queryFn: () => graft.fineTuning.jobs.request(job.id),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <section class="stack" aria-label="Configuration">
      <Loaded query={request}>
        {(data) => (
          <>
            <TrainingOptions method={job.method.type} rows={trainingRows(job, data)} />
            <section class="panel">
              <h2>Adapter method</h2>
              <Facts facts={methodFacts(job)} />
            </section>
            <RequestCode request={data} />
          </>
        )}
      </Loaded>
    </section>
  );
}

const TrainingOptions = ({ method, rows }: { method: string; rows: Row[] }) => (
  <section class="panel">
    <h2>Training</h2>
    <Facts facts={[{ name: 'Training method', value: method }]} />
    <OptionTable label="Training" rows={rows.filter(isNotable)} />
    <details>
      <summary>Options with default values</summary>
      <OptionTable
        label="Training options with default values"
        rows={rows.filter((row) => !isNotable(row))}
      />
    </details>
  </section>
);

function RequestCode({ request }: { request: JobCreateParams }) {
  const [{ as }, , field] = useQueryState({ as: 'curl' });
  const [form, , write] = forms.find(([name]) => name === as) ?? forms[0];
  return (
    <section class="panel">
      <div class="row">
        <h2>Code for the same job</h2>
        <Choice
          label="Language"
          {...field('as')}
          value={form}
          options={forms.map(([name, text]) => [name, text] as const)}
        />
      </div>
      <CodeBlock label="Request" text={write(omitEmpty(request), `${location.origin}/v1`)} />
    </section>
  );
}

type Options = Record<string, unknown>;

function trainingRows(job: FineTuningJob, request: JobCreateParams): Row[] {
  const requested: Options = {
    ...hyperparametersOf(request),
    ...withPreference(request.training ?? {}),
    seed: request.seed,
  };
  return optionRows(requested, withPreference(job.training), job.training_reasons ?? {});
}

/** The options with those of `preference` beside the others; beta is a hyperparameter, too. */
const withPreference = ({ preference, ...others }: JobCreateParams['training'] & object): Options => ({
  ...others,
  ...preference,
});

/** Requested options first, each group sorted by name. */
function optionRows(requested: Options, used: Options, reasons: Record<string, string>): Row[] {
  const names = [...new Set([...Object.keys(requested), ...Object.keys(used)])];
  const isRequested = (name: string) => requested[name] !== undefined && requested[name] !== 'auto';
  return names
    .sort((a, b) => Number(isRequested(b)) - Number(isRequested(a)) || a.localeCompare(b))
    .map((name) => ({
      name,
      requested: isRequested(name) ? valueText(requested[name]) : automatic,
      used: valueText(used[name]),
      reason: reasons[name] ?? '',
    }));
}

/** Not a default: requested, or chosen for a reason. */
const isNotable = ({ requested, reason }: Row): boolean => requested !== automatic || reason !== '';

/** Options that are set: not false, null or empty, unless there is a reason for the value. */
const methodFacts = ({ peft, training_reasons: reasons }: FineTuningJob): Fact[] =>
  Object.entries(peft)
    .filter(
      ([name, value]) =>
        reasons?.[name] !== undefined ||
        (value !== null && value !== false && JSON.stringify(value) !== '{}'),
    )
    .map(([name, value]) => ({ name, value: valueText(value), note: reasons?.[name] }));

const OptionTable = ({ label, rows }: { label: string; rows: Row[] }) => (
  <Table
    label={label}
    minWidth="52rem"
    rows={rows}
    rowKey={({ name }) => name}
    columns={[
      { head: 'Option', width: '17rem', cell: ({ name }) => <code>{name}</code> },
      {
        head: 'Requested',
        width: '11rem',
        cell: ({ requested }) =>
          requested === automatic ? <span class="soft">{requested}</span> : requested,
      },
      { head: 'Used', width: '11rem', cell: ({ used }) => used },
      { head: 'Reason', cell: ({ reason }) => <span class="small soft">{reason}</span> },
    ]}
  />
);
