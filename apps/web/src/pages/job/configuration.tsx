import type { FineTuningJob, JobCreateParams } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { CodeBlock } from '../../components/code-block.tsx';
import { Choice } from '../../components/forms/field.tsx';
import { type Fact, Facts } from '../../components/lists/facts.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { useQueryState } from '../../router/query-state.ts';
import { asCommand, asCurl, asPython, cleaned } from './request-code.ts';

const forms = [
  ['curl', 'curl', asCurl],
  ['python', 'Python', asPython],
  ['cli', 'Command', asCommand],
] as const;

const leftToGraft = 'left to Graft';

interface Row {
  name: string;
  asked: string;
  used: string;
  why: string;
}

/** What was asked for, what came of it and why, and how to ask for it again. */
export function Configuration({ job }: { job: FineTuningJob }) {
  const [{ as }, setState] = useQueryState<{ as: string }>({ as: 'curl' });
  const {
    data: request,
    error,
    refetch,
  } = useQuery({
    queryKey: ['request', job.id],
    queryFn: () => graft.fineTuning.jobs.request(job.id),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (!request) return <Waiting />;
  const training = trainingRows(job, request);
  const [form, , write] = forms.find(([name]) => name === as) ?? forms[0];
  return (
    <section class="stack" aria-label="Configuration">
      <section class="panel">
        <h2>Training</h2>
        <OptionTable label="Training" rows={training.filter(isTelling)} />
        <details>
          <summary>Options at their defaults</summary>
          <OptionTable
            label="Training options at their defaults"
            rows={training.filter((row) => !isTelling(row))}
          />
        </details>
      </section>
      <section class="panel">
        <h2>Method</h2>
        <Facts facts={methodFacts(job)} />
      </section>
      <section class="panel">
        <div class="row">
          <h2>The same job again</h2>
          <Choice
            label="As"
            value={form}
            onValue={(next) => setState({ as: next })}
            options={forms.map(([name, text]) => [name, text] as const)}
          />
        </div>
        <CodeBlock label="The request" text={write(cleaned(request), `${location.origin}/v1`)} />
      </section>
    </section>
  );
}

type Options = Record<string, unknown>;

const askedOf = (options: unknown): Options => (options ?? {}) as Options;

function trainingRows(job: FineTuningJob, request: JobCreateParams): Row[] {
  const { hyperparameters = {} } = request.method?.supervised ?? {};
  const asked = { ...hyperparameters, ...askedOf(request.training), seed: request.seed };
  return rowsOf(asked, askedOf(job.training), job.training_reasons ?? {});
}

/** Options that were asked for first, each group by name. */
function rowsOf(asked: Options, used: Options, reasons: Record<string, string>): Row[] {
  const names = [...new Set([...Object.keys(asked), ...Object.keys(used)])];
  const isAsked = (name: string) => asked[name] !== undefined && asked[name] !== 'auto';
  return names
    .sort((a, b) => Number(isAsked(b)) - Number(isAsked(a)) || a.localeCompare(b))
    .map((name) => ({
      name,
      asked: isAsked(name) ? textOf(asked[name]) : leftToGraft,
      used: name in used ? textOf(used[name]) : '–',
      why: reasons[name] ?? '',
    }));
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** What is no default: asked for, or chosen for a reason. */
const isTelling = ({ asked, why }: Row): boolean => asked !== leftToGraft || why !== '';

/** Without what is off, null or empty, unless there is a reason to know of it. */
const methodFacts = ({ peft, training_reasons: reasons }: FineTuningJob): Fact[] =>
  Object.entries(peft)
    .filter(
      ([name, value]) =>
        reasons?.[name] !== undefined ||
        (value !== null && value !== false && JSON.stringify(value) !== '{}'),
    )
    .map(([name, value]) => ({ name, value: textOf(value), note: reasons?.[name] }));

const OptionTable = ({ label, rows }: { label: string; rows: Row[] }) => (
  <Table
    label={label}
    minWidth="52rem"
    rows={rows}
    rowKey={({ name }) => name}
    columns={[
      { head: 'Option', names: true, width: '17rem', cell: ({ name }) => <code>{name}</code> },
      {
        head: 'Asked for',
        width: '11rem',
        cell: ({ asked }) => (asked === leftToGraft ? <span class="soft">{asked}</span> : asked),
      },
      { head: 'Used', width: '11rem', cell: ({ used }) => used },
      { head: 'Why', cell: ({ why }) => <span class="small soft">{why}</span> },
    ]}
  />
);
