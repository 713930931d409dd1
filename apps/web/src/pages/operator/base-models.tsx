import type { BaseModelObject } from '@graft/client';
import { Badge } from '../../components/badge.tsx';
import { Cut } from '../../components/cut.tsx';
import { Choice, TextArea, TextField } from '../../components/forms/field.tsx';
import { Confirm, DialogButton, FormDialog, useAction, useForm } from '../../components/forms/form.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Time } from '../../components/time.tsx';
import { toast } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { bytes } from '../../text/numbers.ts';
import { splitWords } from '../../text/words.ts';

const invalidates = [['base-models']];

/** Base models from the configuration, and those added while Graft runs. */
export function BaseModels() {
  const models = usePages(['base-models'], () => graft.admin.baseModels.list({ limit: 100 }), {
    refetchInterval: 2_000,
  });
  const retry = useAction({
    run: (id: string) => graft.admin.baseModels.retry(id),
    invalidates,
    successMessage: ({ id }) => `Downloading ${id} again.`,
  });
  const hide = useAction({
    run: ({ id, hidden }: { id: string; hidden: boolean }) => graft.admin.baseModels.update(id, { hidden }),
    invalidates,
    onDone: ({ id, hidden }) =>
      toast(hidden ? `${id} is hidden from all teams.` : `${id} is visible again.`, {
        label: 'Undo',
        run: () => hide.mutate({ id, hidden: !hidden }),
      }),
  });
  return (
    <section class="panel">
      <div class="section-head">
        <p class="soft">Teams see models that are ready, not hidden, and accessible to them.</p>
        <DialogButton icon="add" kind="main" dialog={<AddBaseModel />}>
          Add base model
        </DialogButton>
      </div>
      <Listing
        pages={models}
        label="Base models"
        minWidth="60rem"
        emptyTitle="No base models"
        emptyText="Add one from the Hugging Face Hub, a folder or a bucket. Training needs a base model."
        columns={[
          {
            head: 'Base model',
            cell: ({ id, location, source }) => (
              <>
                <Cut text={id} />
                <Cut
                  text={location ?? (source === 'bundled' ? 'included with Graft' : 'from the configuration')}
                  title={location}
                  class="small soft"
                />
              </>
            ),
          },
          { head: 'Type', width: '6rem', cell: ({ model_type }) => model_type ?? '–' },
          { head: 'Status', width: '14rem', cell: (model) => <ModelStatus model={model} /> },
          {
            head: 'Visible to',
            width: '9rem',
            cell: (model) => (
              <DialogButton small kind="quiet" dialog={<ModelAccess model={model} />}>
                {describeAccess(model)}
              </DialogButton>
            ),
          },
          {
            head: 'Added',
            width: '7rem',
            cell: ({ created_at }) => (created_at === null ? '–' : <Time at={created_at} />),
          },
          {
            width: '11rem',
            actions: ({ id, state, hidden }) =>
              state !== 'configured' && [
                state === 'failed' && { text: 'Retry', kind: 'plain', run: () => retry.mutate(id) },
                state === 'ready' && {
                  text: hidden ? 'Show' : 'Hide',
                  run: () => hide.mutate({ id, hidden: !hidden }),
                },
                {
                  text: 'Remove',
                  dialog: (
                    <Confirm
                      title="Remove base model?"
                      action="Remove"
                      run={() => graft.admin.baseModels.delete(id)}
                      invalidates={invalidates}
                      successMessage={() => `${id} removed.`}
                    >
                      <p class="wrap-anywhere">
                        Removes {id} and its downloaded files. A model in use by jobs or adapters cannot be
                        removed; hide it instead.
                      </p>
                    </Confirm>
                  ),
                },
              ],
          },
        ]}
      />
    </section>
  );
}

function describeAccess({ limited, allowed_teams, denied_teams }: BaseModelObject): string {
  if (limited) return allowed_teams.length === 1 ? '1 team' : `${allowed_teams.length} teams`;
  return denied_teams.length === 0 ? 'all teams' : `all but ${denied_teams.length}`;
}

function ModelStatus({ model }: { model: BaseModelObject }) {
  const { state, hidden, bytes_done, bytes_total, error } = model;
  if (hidden)
    return <Badge title="Hidden from teams. Jobs and adapters that use it continue to work.">hidden</Badge>;
  if (state === 'fetching' || state === 'queued') {
    return (
      <>
        <span class="small">
          {state === 'queued' ? 'waiting' : 'downloading'}: {bytes(bytes_done)}
          {bytes_total !== null && ` of ${bytes(bytes_total)}`}
        </span>
        <Meter value={bytes_total ? bytes_done / bytes_total : 0} label={`Download of ${model.id}`} />
        {error && <Cut text={error.message} class="small soft" />}
      </>
    );
  }
  if (state === 'failed') {
    return (
      <>
        <Badge tone="bad">failed</Badge>
        {error && <Cut text={error.message} class="small soft" />}
      </>
    );
  }
  return <Badge tone="good">{state === 'ready' ? 'ready' : 'configured'}</Badge>;
}

type Rule = 'everyone' | 'allow' | 'deny';

/** Which teams can see a base model. For other teams it does not exist. */
function ModelAccess({ model }: { model: BaseModelObject }) {
  const { field, values, ...form } = useForm({
    initial: { rule: 'everyone' as Rule, teams: '' },
    check: ({ rule, teams }) =>
      rule !== 'everyone' && splitWords(teams).length === 0
        ? { teams: 'Enter at least one team ID, such as team-….' }
        : {},
    run: ({ rule, teams }) =>
      rule === 'deny'
        ? graft.admin.baseModels.deny(model.id, splitWords(teams))
        : graft.admin.baseModels.allow(model.id, rule === 'everyone' ? null : splitWords(teams)),
    invalidates,
    successMessage: ({ id }) => `Access to ${id} updated.`,
  });
  return (
    <FormDialog title="Model access" action="Save" form={form}>
      <p class="wrap-anywhere">
        {model.id} is visible to {model.limited ? model.allowed_teams.join(', ') || 'no team' : 'all teams'}
        {model.denied_teams.length > 0 && ` except ${model.denied_teams.join(', ')}`}.
      </p>
      <Choice
        label="Rule"
        {...field('rule')}
        options={{ everyone: 'All teams', allow: 'Allow some', deny: 'Deny some' }}
      />
      {values.rule !== 'everyone' && (
        <TextArea
          label="Team IDs"
          hint={
            values.rule === 'allow'
              ? 'Team IDs, separated by spaces. Only these teams, and those allowed before, can see the model.'
              : 'Team IDs, separated by spaces. Accepted jobs continue.'
          }
          {...field('teams')}
        />
      )}
    </FormDialog>
  );
}

type Source = 'hub' | 'folder' | 's3';

const sources: Record<Source, { label: string; placeholder: string; hint: string }> = {
  hub: { label: 'Repository', placeholder: 'organization/name', hint: 'Must be allowed by GRAFT_HUB_ALLOW.' },
  folder: { label: 'Folder', placeholder: '/models/name', hint: 'Absolute path, the same on every machine.' },
  s3: {
    label: 'Bucket prefix',
    placeholder: 's3://bucket/prefix',
    hint: 'Must be allowed by GRAFT_BASE_MODEL_SOURCES.',
  },
};

function AddBaseModel() {
  const { field, values, ...form } = useForm({
    initial: { id: '', source: 'hub' as Source, location: '', revision: '' },
    run: ({ id, source, location, revision }) =>
      graft.admin.baseModels.add({
        id: id.trim(),
        [source]: location.trim(),
        ...(source === 'hub' && revision.trim() !== '' && { revision: revision.trim() }),
      }),
    invalidates,
    successMessage: (model) => `Downloading ${model.id} in the background.`,
  });
  const { source } = values;
  return (
    <FormDialog title="Add base model" action="Add" form={form}>
      <TextField
        label="Name"
        autofocus
        spellcheck={false}
        hint="The value of model in requests."
        {...field('id')}
      />
      <Choice
        label="Source"
        {...field('source')}
        options={{ hub: 'Hugging Face Hub', folder: 'Folder', s3: 'S3 bucket' }}
      />
      <TextField {...sources[source]} spellcheck={false} {...field('location', source)} />
      {source === 'hub' && (
        <TextField
          label="Revision"
          placeholder="main"
          spellcheck={false}
          hint="A branch, tag or commit."
          {...field('revision')}
        />
      )}
    </FormDialog>
  );
}
