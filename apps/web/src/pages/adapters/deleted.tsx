import type { DeletedAdapterVersion } from '@graft/client';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { useAction } from '../../data/action.ts';
import { useDeletedVersions, useRefetchAdapter } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';

/** Deleted versions that can still be restored. */
export function Deleted() {
  const canWrite = usePermission('adapters:write');
  const refetchAdapter = useRefetchAdapter();
  const restore = useAction({
    run: ({ adapter_id, version }: DeletedAdapterVersion) =>
      graft.adapters.versions.restore(adapter_id, version),
    invalidates: [],
    successMessage: ({ adapter_name, version }) => `Version ${version} of ${adapter_name} restored.`,
    onDone: ({ adapter_id }) => void refetchAdapter(adapter_id),
  });
  return (
    <Listing
      pages={useDeletedVersions()}
      label="Deleted versions"
      minWidth="48rem"
      empty={
        <Empty title="No deleted versions">
          <p>Deleted versions stay here for a few days and can be restored.</p>
        </Empty>
      }
      columns={[
        {
          head: 'Model',
          cell: ({ model }) => (
            <span class="cut" title={model}>
              {model}
            </span>
          ),
          isRowHeader: true,
        },
        { head: 'Version', cell: ({ version }) => version, end: true, width: '5.5rem' },
        { head: 'Deleted', cell: ({ deleted_at }) => <Time at={deleted_at} />, width: '8rem' },
        { head: 'Restorable until', cell: (each) => <Time at={each.restorable_until} />, width: '9rem' },
        {
          head: <span class="visually-hidden">Actions</span>,
          cell: (version) =>
            canWrite && (
              <Button
                small
                busy={restore.isPending && restore.variables.id === version.id}
                onClick={() => restore.mutate(version)}
              >
                Restore
              </Button>
            ),
          end: true,
          width: '7rem',
        },
      ]}
    />
  );
}
