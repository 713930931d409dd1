import type { DeletedAdapterVersion } from '@graft/client';
import { Cut } from '../../components/cut.tsx';
import { useAction } from '../../components/forms/form.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { adapterKeys, useDeletedVersions } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';

/** Deleted versions that can still be restored. */
export function Deleted() {
  const canWrite = usePermission('adapters:write');
  const restore = useAction({
    run: ({ adapter_id, version }: DeletedAdapterVersion) =>
      graft.adapters.versions.restore(adapter_id, version),
    invalidates: adapterKeys,
    successMessage: ({ adapter_name, version }) => `Version ${version} of ${adapter_name} restored.`,
  });
  return (
    <Listing
      pages={useDeletedVersions()}
      label="Deleted versions"
      minWidth="48rem"
      emptyTitle="No deleted versions"
      emptyText="Deleted versions stay here for a few days and can be restored."
      columns={[
        { head: 'Model', cell: ({ model }) => <Cut text={model} /> },
        { head: 'Version', cell: ({ version }) => version, end: true, width: '5.5rem' },
        { head: 'Deleted', cell: ({ deleted_at }) => <Time at={deleted_at} />, width: '8rem' },
        { head: 'Restorable until', cell: (each) => <Time at={each.restorable_until} />, width: '9rem' },
        {
          width: '7rem',
          actions: (version) => [
            canWrite && {
              text: 'Restore',
              kind: 'plain',
              busy: restore.isPending && restore.variables.id === version.id,
              run: () => restore.mutate(version),
            },
          ],
        },
      ]}
    />
  );
}
