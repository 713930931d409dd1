import type { CombineAdapters as Combination, Model } from '@graft/client';
import { COMBINED_ADAPTERS, type CombinationType, combinationOptions } from '@graft/wire/lists';
import { useLocation } from 'wouter-preact';
import { Empty } from '../../components/empty.tsx';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { FieldError, Select, TextField } from '../../components/forms/field.tsx';
import { Form, useForm } from '../../components/forms/form.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { adapterKeys } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { useModels } from '../../data/models.ts';
import { usePermission } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { ModelField } from './model-field.tsx';

/** Result of each type. */
const hints: Record<CombinationType, string> = {
  svd: 'The best approximation of the weighted sum with one rank. The versions may have different ranks.',
  cat: 'Exactly the weighted sum. Its rank is the sum of all ranks.',
  linear:
    'Weighted sums of both factors, for versions of one training: not the sum of the updates. The versions need equal ranks.',
  ties: 'Of each version the largest numbers, with the sign that prevails. The versions need equal ranks.',
  dare_linear: 'Of each version random numbers, enlarged to compensate. The versions need equal ranks.',
  dare_ties:
    'Of each version random numbers, enlarged to compensate, with the sign that prevails. The versions need equal ranks.',
  magnitude_prune: 'Of each version the largest numbers. The versions need equal ranks.',
};

const numberFields = {
  svd_rank: {
    inputMode: 'numeric',
    hint: 'Rank of the new version. Empty: the largest rank of the versions.',
  },
  density: { inputMode: 'decimal', hint: 'Share of the numbers that is kept, such as 0.5.' },
  seed: { inputMode: 'numeric', hint: 'Seed of the random choice. Empty: 0.' },
} as const;

type Option = (typeof combinationOptions)[CombinationType][number];
const optionsOf = (type: CombinationType): readonly Option[] => combinationOptions[type];
const up = { href: '/adapters', text: 'Adapters' };

/** A form that creates a version from weighted versions of one base model. `?a=…&b=…` preselects two. */
export function CombineAdapters() {
  const canWrite = usePermission('adapters:write');
  return (
    <>
      <PageHead title="Combine versions" up={up}>
        <p class="soft">
          Creates a version from the updates of others, without training. Try it on your own examples: it can
          be worse than each of them.
        </p>
      </PageHead>
      {canWrite ? (
        <CombineForm />
      ) : (
        <Empty title="You have read-only access">
          <p>Members and admins can combine versions. Ask a team admin to change your role.</p>
        </Empty>
      )}
    </>
  );
}

function CombineForm() {
  const [, go] = useLocation();
  const [{ a, b }] = useQueryState({ a: '', b: '' });
  const { data: models = [] } = useModels();
  const form = useForm({
    initial: {
      sources: [a, b].map((model) => ({ model, weight: '1' })),
      combination_type: 'svd' as CombinationType,
      svd_rank: '',
      density: '0.5',
      majority_sign_method: 'total',
      seed: '',
      name: '',
      note: '',
    },
    check: (values) => {
      const fault = sourcesFault(
        values.sources.map(({ model }) => model),
        models,
      );
      return {
        ...(fault && { sources: fault }),
        ...(values.name.trim() === '' && { name: 'Enter the name of the adapter that gets the version.' }),
      };
    },
    run: (values) => graft.adapters.combine(requestOf(values)),
    invalidates: adapterKeys,
    successMessage: ({ adapter_name, version }) => `Created version ${version} of ${adapter_name}.`,
    onDone: ({ adapter_id, version }) => go(`/adapters/${adapter_id}?version=${version}`),
  });
  const { sources, combination_type: type } = form.values;
  const base = sources.map(({ model }) => baseOf(models, model)).find((name) => name !== null) ?? null;
  const setSource = (i: number, change: Partial<Source>) =>
    form.set({ sources: sources.with(i, { ...sources[i]!, ...change }) });
  return (
    <Form
      form={form}
      footer={
        <div class="row">
          <Button kind="main" type="submit" busy={form.isPending}>
            Combine
          </Button>
          <p class="small soft">A combination may take two minutes.</p>
        </div>
      }
    >
      <fieldset class="stack adapters-sources">
        <legend>Versions</legend>
        {sources.map((source, i) => (
          <div key={i} class="adapters-source">
            <ModelField
              label={`Version ${i + 1}`}
              tuned
              base={base}
              value={source.model}
              onValue={(model) => setSource(i, { model })}
            />
            <TextField
              label={`Weight ${i + 1}`}
              inputMode="decimal"
              value={source.weight}
              onValue={(weight) => setSource(i, { weight })}
              error={form.errorAt(`sources[${i}].weight`)}
            />
            {sources.length > COMBINED_ADAPTERS.least && (
              <IconButton
                icon="close"
                label={`Remove version ${i + 1}`}
                onClick={() => form.set({ sources: sources.toSpliced(i, 1) })}
              />
            )}
          </div>
        ))}
        <FieldError class="small" text={form.errorAt('sources')} />
        <div>
          <Button
            small
            icon="add"
            disabled={sources.length >= COMBINED_ADAPTERS.most}
            onClick={() => form.set({ sources: [...sources, { model: '', weight: '1' }] })}
          >
            Add version
          </Button>
        </div>
      </fieldset>
      <Select
        label="combination_type"
        {...form.field('combination_type')}
        options={(Object.keys(hints) as CombinationType[]).map((name) => [name, name])}
        hint={hints[type]}
      />
      {optionsOf(type).map((option) =>
        option === 'majority_sign_method' ? (
          <Select
            key={option}
            label={option}
            {...form.field(option)}
            options={{ total: 'total: the sign of the sum', frequency: 'frequency: the sign that most have' }}
          />
        ) : (
          <TextField key={option} label={option} {...numberFields[option]} {...form.field(option)} />
        ),
      )}
      <TextField
        label="Name"
        hint="The adapter that gets the version. A new name creates an adapter."
        maxLength={64}
        spellcheck={false}
        {...form.field('name')}
      />
      <TextField label="Note" hint="Optional." {...form.field('note')} />
    </Form>
  );
}

/** The base model of a version, where the list of models has it: that of a tag is unknown. */
const baseOf = (models: readonly Model[], name: string | undefined): string | null =>
  models.find(({ id }) => id === name)?.base_model ?? null;

/** Fault of the chosen versions. The API checks the rest, such as methods and ranks. */
function sourcesFault(names: readonly string[], models: readonly Model[]): string | null {
  if (names.some((name) => name === '')) return 'Choose a version in each row, or remove the row.';
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice) return `${twice} is chosen twice: add its weights.`;
  const [first, ...others] = names.filter((name) => baseOf(models, name) !== null);
  const other = others.find((name) => baseOf(models, name) !== baseOf(models, first));
  return other === undefined
    ? null
    : `${first} adapts ${baseOf(models, first)} and ${other} adapts ${baseOf(models, other)}: choose versions of one base model.`;
}

interface Source {
  model: string;
  weight: string;
}

/** Values of the form. */
type Values = Record<Option | 'name' | 'note', string> & {
  sources: Source[];
  combination_type: CombinationType;
};

/** The request, with only the options of the chosen type: the API refuses others. */
function requestOf({ sources, name, note, ...values }: Values): Combination {
  const { combination_type: type } = values;
  const given = optionsOf(type).filter((option) => values[option].trim() !== '');
  const options = given.map((option) => [option, numberOrText(values[option])]);
  return {
    name: name.trim(),
    sources: sources.map(({ model, weight }) => ({ model, weight: numberOrText(weight) as number })),
    combination_type: type,
    ...Object.fromEntries(options),
    ...(note.trim() && { note: note.trim() }),
  };
}

/** Text that is no number is sent as it is, so that the API names the field. */
function numberOrText(text: string): number | string {
  const number = Number(text);
  return text.trim() === '' || !Number.isFinite(number) ? text : number;
}
