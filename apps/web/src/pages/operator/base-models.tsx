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

const touches = [['base-models']];

/** What jobs are trained on: those of the configuration, and those that are added while Graft runs. */
export function BaseModels() {
  const models = usePages(['base-models'], () => graft.admin.baseModels.list({ limit: 100 }), {
    refetchInterval: 2_000,
  });
  const [isAdding, setIsAdding] = useState(false);
  const [opened, setOpened] = useState<BaseModelObject | null>(null);
  const [asked, setAsked] = useState<BaseModelObject | null>(null);
  const retry = useAction({
    run: (id: string) => graft.admin.baseModels.retry(id),
    touches,
    said: ({ id }) => `${id} is fetched again.`,
  });
  const hide = useAction({
    run: ({ id, hidden }: { id: string; hidden: boolean }) => graft.admin.baseModels.update(id, { hidden }),
    touches,
    onDone: ({ id, hidden }) =>
      toast(hidden ? `No team finds ${id} any more.` : `Teams find ${id} again.`, {
        label: 'Undo',
        run: () => hide.mutate({ id, hidden: !hidden }),
      }),
  });
  const remove = useAction({
    run: (id: string) => graft.admin.baseModels.delete(id),
    touches,
    said: ({ id }) => `${id} is removed.`,
    onDone: () => setAsked(null),
  });
  return (
    <section class="section">
      <div class="section-head">
        <p class="soft">Teams find those that are ready, unless they are hidden or for other teams.</p>
        <Button icon="add" kind="main" onClick={() => setIsAdding(true)}>
          Add a base model
        </Button>
      </div>
      <Listing
        pages={models}
        label="Base models"
        minWidth="60rem"
        empty={
          <Empty title="No base models">
            <p>Add one by a folder, from the Hub or a bucket: nothing can be trained without.</p>
          </Empty>
        }
        columns={[
          {
            head: 'Base model',
            names: true,
            cell: ({ id, location, source }) => (
              <>
                <span class="cut" title={id}>
                  {id}
                </span>
                <span class="cut small soft" title={location ?? undefined}>
                  {location ?? (source === 'bundled' ? 'comes with Graft' : 'of the configuration')}
                </span>
              </>
            ),
          },
          { head: 'Kind', width: '6rem', cell: ({ model_type }) => model_type ?? '–' },
          { head: 'State', width: '14rem', cell: (model) => <State of={model} /> },
          {
            head: 'Found by',
            width: '9rem',
            cell: (model) => (
              <Button small kind="quiet" onClick={() => setOpened(model)}>
                {foundBy(model)}
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
                      Try again
                    </Button>
                  )}
                  {state === 'ready' && (
                    <Button small kind="quiet" onClick={() => hide.mutate({ id: model.id, hidden: !hidden })}>
                      {hidden ? 'Show' : 'Hide'}
                    </Button>
                  )}
                  <Button small kind="quiet" onClick={() => setAsked({ state, hidden, ...model })}>
                    Remove
                  </Button>
                </span>
              ),
          },
        ]}
      />
      {isAdding && <AddBaseModel onClose={() => setIsAdding(false)} />}
      {opened && <ModelAccess model={opened} onClose={() => setOpened(null)} />}
      {asked && (
        <Confirm
          title="Remove the base model?"
          action="Remove it"
          busy={remove.isPending}
          onConfirm={() => remove.mutate(asked.id)}
          onClose={() => setAsked(null)}
        >
          <p class="words">
            {asked.id} and what was fetched of it go. While jobs or adapters use it that is refused: hide it
            then.
          </p>
        </Confirm>
      )}
    </section>
  );
}

function foundBy({ limited, allowed_teams, denied_teams }: BaseModelObject): string {
  if (limited) return allowed_teams.length === 1 ? 'one team' : `${allowed_teams.length} teams`;
  return denied_teams.length === 0 ? 'every team' : `all but ${denied_teams.length}`;
}

function State({ of: model }: { of: BaseModelObject }) {
  const { state, hidden, bytes_done, bytes_total, error } = model;
  if (hidden) return <Badge title="No team finds it; what uses it goes on.">hidden</Badge>;
  if (state === 'fetching' || state === 'queued') {
    return (
      <>
        <span class="small">
          {state === 'queued' ? 'waits' : 'is fetched'}: {bytes(bytes_done)}
          {bytes_total !== null && ` of ${bytes(bytes_total)}`}
        </span>
        <Meter value={bytes_total ? bytes_done / bytes_total : 0} label={`${model.id}: fetched`} />
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
