import type { BaseModelObject } from '@graft/client';
import { Badge } from '../../components/badge.tsx';
import { Cut } from '../../components/cut.tsx';
import { Confirm, DialogButton, useAction } from '../../components/forms/form.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Time } from '../../components/time.tsx';
import { toast } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { bytes } from '../../text/numbers.ts';
import { AddBaseModel } from './add-base-model.tsx';
import { ModelAccess } from './model-access.tsx';

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
        <DialogButton icon="add" kind="main" dialog={(close) => <AddBaseModel onClose={close} />}>
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
              <DialogButton
                small
                kind="quiet"
                dialog={(close) => <ModelAccess model={model} onClose={close} />}
              >
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
                { text: 'Remove', dialog: (close) => <Remove id={id} onClose={close} /> },
              ],
          },
        ]}
      />
    </section>
  );
}

const Remove = ({ id, onClose }: { id: string; onClose: () => void }) => (
  <Confirm
    title="Remove base model?"
    action="Remove"
    run={() => graft.admin.baseModels.delete(id)}
    invalidates={invalidates}
    successMessage={() => `${id} removed.`}
    onClose={onClose}
  >
    <p class="wrap-anywhere">
      Removes {id} and its downloaded files. A model in use by jobs or adapters cannot be removed; hide it
      instead.
    </p>
  </Confirm>
);

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
