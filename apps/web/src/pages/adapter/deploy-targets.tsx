import type { Adapter, DeployTarget } from '@graft/client';
import { Badge } from '../../components/badge.tsx';
import { Cut } from '../../components/cut.tsx';
import { Button } from '../../components/forms/button.tsx';
import { ConfirmButton, DialogButton, useAction } from '../../components/forms/form.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { Tag } from '../../components/tag.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { usePermission } from '../../data/session.ts';
import { DeployTargetForm } from './deploy-target-form.tsx';

const pollMs = 5000;
const { deployTargets } = graft;

/** The runtimes that follow a tag of the adapter, with their states. Nothing for users who may not see them. */
export function DeployTargets({ adapter }: { adapter: Adapter }) {
  return usePermission('deploy:read') ? <Targets adapter={adapter} /> : null;
}

function Targets({ adapter }: { adapter: Adapter }) {
  const canEdit = usePermission('deploy:write', 'admin');
  const key = ['adapter', adapter.id, 'deploy targets'];
  const { data, error, refetch } = usePages(key, () => deployTargets.list({ adapter_id: adapter.id }), {
    refetchInterval: pollMs,
  });
  const rows = data?.pages.flatMap((page) => page.data) ?? [];
  if (!canEdit && rows.length === 0) return null;
  return (
    <section class="stack">
      <header class="section-head">
        <h2>Deploy targets</h2>
        {canEdit && (
          <DialogButton
            icon="add"
            dialog={(close) => <DeployTargetForm adapter={adapter} invalidates={key} onClose={close} />}
          >
            Add target
          </DialogButton>
        )}
      </header>
      {error && <Problem error={error} onRetry={refetch} />}
      {rows.length > 0 ? (
        <List rows={rows} queryKey={key} canEdit={canEdit} />
      ) : (
        data && <p class="soft">No runtime follows a tag of this adapter.</p>
      )}
    </section>
  );
}

function List({ rows, queryKey, canEdit }: { rows: DeployTarget[]; queryKey: string[]; canEdit: boolean }) {
  const retry = useAction({
    run: ({ id, state }: DeployTarget) =>
      state === 'disabled' ? deployTargets.update(id, { enabled: true }) : deployTargets.retry(id),
    invalidates: [queryKey],
  });
  return (
    <Table
      label="Deploy targets"
      minWidth="52rem"
      rows={rows}
      rowKey={({ id }) => id}
      columns={[
        {
          head: 'Target',
          cell: ({ name, url, runtime, created_by: maker }) => (
            <>
              <Cut text={name} />
              <Cut text={`${runtime} at ${url}`} class="small soft" />
              <Cut text={`made by ${maker ?? 'an unknown maker'}`} class="small soft" />
            </>
          ),
        },
        { head: 'Tag', width: '8rem', cell: ({ tag }) => <Tag name={tag} /> },
        { head: 'State', width: '18rem', cell: (row) => <State target={row} /> },
        {
          head: 'Model',
          width: '10rem',
          cell: ({ served_model: model }) => model && <Cut isCode text={model} />,
        },
        {
          head: 'Actions',
          width: '12rem',
          cell: (row) =>
            canEdit && (
              <span class="row">
                <Button onClick={() => retry.mutate(row)}>
                  {row.state === 'disabled' ? 'Enable' : 'Retry'}
                </Button>
                <ConfirmButton
                  button={{ children: 'Delete' }}
                  title={`Delete ${row.name}?`}
                  action="Delete target"
                  run={() => deployTargets.delete(row.id)}
                  invalidates={[queryKey]}
                  successMessage={() => `${row.name} deleted.`}
                >
                  <p>The runtime unloads the adapter, and its files are removed.</p>
                </ConfirmButton>
              </span>
            ),
        },
      ]}
    />
  );
}

const tones = {
  waiting: 'quiet',
  loading: 'wait',
  deployed: 'good',
  failing: 'bad',
  disabled: 'bad',
} as const;

function State({ target }: { target: DeployTarget }) {
  const { state, reason, deployed_version: version, deployed_at: at } = target;
  return (
    <>
      <Badge tone={tones[state]}>{state}</Badge> {version !== null && `Version ${version}`}
      {at !== null && (
        <>
          {' since '}
          <Time at={at} />
        </>
      )}
      {reason && <p class="small soft">{reason}</p>}
    </>
  );
}
