import type { BaseModelObject } from '@graft/client';
import { useState } from 'preact/hooks';
import { Badge } from '../../components/badge.tsx';
import { Confirm } from '../../components/dialog.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Time } from '../../components/time.tsx';
import { toast } from '../../components/toast.tsx';
import { useAction } from '../../data/action.ts';
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
  const [isAdding, setIsAdding] = useState(false);
  const [editing, setEditing] = useState<BaseModelObject | null>(null);
  const [removing, setRemoving] = useState<BaseModelObject | null>(null);
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
  const remove = useAction({
    run: (id: string) => graft.admin.baseModels.delete(id),
    invalidates,
    successMessage: ({ id }) => `${id} removed.`,
    onDone: () => setRemoving(null),
  });
  return (
    <section class="panel">
      <div class="section-head">
        <p class="soft">Teams see models that are ready, not hidden, and accessible to them.</p>
        <Button icon="add" kind="main" onClick={() => setIsAdding(true)}>
          Add base model
        </Button>
      </div>
      <Listing
        pages={models}
        label="Base models"
        minWidth="60rem"
        empty={
          <Empty title="No base models">
            <p>Add one from the Hugging Face Hub, a folder or a bucket. Training needs a base model.</p>
          </Empty>
        }
        columns={[
          {
            head: 'Base model',
            isRowHeader: true,
            cell: ({ id, location, source }) => (
              <>
                <span class="cut" title={id}>
                  {id}
                </span>
                <span class="cut small soft" title={location ?? undefined}>
                  {location ?? (source === 'bundled' ? 'included with Graft' : 'from the configuration')}
                </span>
              </>
            ),
          },
          { head: 'Type', width: '6rem', cell: ({ model_type }) => model_type ?? '–' },
          { head: 'Status', width: '14rem', cell: (model) => <ModelStatus model={model} /> },
          {
            head: 'Visible to',
            width: '9rem',
            cell: (model) => (
              <Button small kind="quiet" onClick={() => setEditing(model)}>
                {describeAccess(model)}
              </Button>
            ),
          },
          {
            head: 'Added',
            width: '7rem',
            cell: ({ created_at }) => (created_at === null ? '–' : <Time at={created_at} />),
          },
          {
            head: <span class="visually-hidden">Actions</span>,
            width: '11rem',
            end: true,
            cell: ({ state, hidden, ...model }) =>
              state !== 'configured' && (
                <span class="row end">
                  {state === 'failed' && (
                    <Button small onClick={() => retry.mutate(model.id)}>
                      Retry
                    </Button>
                  )}
                  {state === 'ready' && (
                    <Button small kind="quiet" onClick={() => hide.mutate({ id: model.id, hidden: !hidden })}>
                      {hidden ? 'Show' : 'Hide'}
                    </Button>
                  )}
                  <Button small kind="quiet" onClick={() => setRemoving({ state, hidden, ...model })}>
                    Remove
                  </Button>
                </span>
              ),
          },
        ]}
      />
      {isAdding && <AddBaseModel onClose={() => setIsAdding(false)} />}
      {editing && <ModelAccess model={editing} onClose={() => setEditing(null)} />}
      {removing && (
        <Confirm
          title="Remove base model?"
          action="Remove"
          busy={remove.isPending}
          onConfirm={() => remove.mutate(removing.id)}
          onClose={() => setRemoving(null)}
        >
          <p class="wrap-anywhere">
            Removes {removing.id} and its downloaded files. A model in use by jobs or adapters cannot be
            removed; hide it instead.
          </p>
        </Confirm>
      )}
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
        {error && <Reason text={error.message} />}
      </>
    );
  }
  if (state === 'failed') {
    return (
      <>
        <Badge tone="bad">failed</Badge>
        {error && <Reason text={error.message} />}
      </>
    );
  }
  return <Badge tone="good">{state === 'ready' ? 'ready' : 'configured'}</Badge>;
}

const Reason = ({ text }: { text: string }) => (
  <span class="cut small soft" title={text}>
    {text}
  </span>
);
