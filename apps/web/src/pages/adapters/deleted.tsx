import type { DeletedAdapterVersion } from '@graft/client';
import { useMutation } from '@tanstack/preact-query';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { More } from '../../components/lists/more.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { toast, toastError } from '../../components/toast.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { useAdapterChanged, useDeletedVersions } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { useMay } from '../../data/session.ts';

/** Deleted versions, as long as they can be restored. */
export function Deleted() {
  const query = useDeletedVersions();
  const mayWrite = useMay('adapters:write');
  const changed = useAdapterChanged();
  const restore = useMutation({
    mutationFn: ({ adapter_id, version }: DeletedAdapterVersion) =>
      graft.adapters.versions.restore(adapter_id, version),
    onSuccess: async ({ adapter_id, adapter_name, version }) => {
      toast(`Version ${version} of ${adapter_name} is back.`);
      await changed(adapter_id);
    },
    onError: toastError,
  });
  const { data, error, refetch } = query;
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (!data) return <Waiting />;
  const versions = data.pages.flatMap((page) => page.data);
  if (versions.length === 0)
    return (
      <Empty title="Nothing was deleted">
        <p>A deleted version stays here for some days, and can be restored.</p>
      </Empty>
    );
  return (
    <div class="stack">
      <Table
        label="Deleted versions"
        minWidth="48rem"
        rows={versions}
        rowKey={({ id }) => id}
        columns={[
          {
            head: 'Model',
            cell: ({ model }) => (
              <span class="cut" title={model}>
                {model}
              </span>
            ),
            names: true,
          },
          { head: 'Version', cell: ({ version }) => version, end: true, width: '5.5rem' },
          { head: 'Deleted', cell: ({ deleted_at }) => <Time at={deleted_at} />, width: '8rem' },
          { head: 'Until', cell: (each) => <Time at={each.restorable_until} />, width: '8rem' },
          {
            head: <span class="visually-hidden">Action</span>,
            cell: (version) =>
              mayWrite && (
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
      <More of={query} />
    </div>
  );
}
