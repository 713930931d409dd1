import type { Adapter } from '@graft/client';
import { useState } from 'preact/hooks';
import { useLocation, useParams } from 'wouter-preact';
import '../../styles/pages/adapter.css';
import { Confirm } from '../../components/dialog.tsx';
import { Button } from '../../components/forms/button.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { useAction } from '../../data/action.ts';
import {
  useAdapter,
  useForgetAdapter,
  useRefetchAdapter,
  useVersion,
  useVersions,
} from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { counted } from '../../text/numbers.ts';
import { Note } from './note.tsx';
import { Version } from './version.tsx';
import { Versions } from './versions.tsx';

const up = { href: '/adapters', text: 'Adapters' };

/** An adapter, its versions, and the details of one: the version in the URL, else the newest. */
export function AdapterPage() {
  const { id } = useParams<{ id: string }>();
  const [state] = useQueryState({ version: '' });
  const refetchAdapter = useRefetchAdapter();
  const { data: adapter, error, refetch } = useAdapter(id);
  const requested = /^[1-9]\d{0,8}$/.test(state.version) ? Number(state.version) : null;
  const number = requested ?? adapter?.latest_version ?? null;
  const versions = useVersions(id);
  const version = useVersion(id, number);
  if (error)
    return (
      <>
        <PageHead title="Adapter" up={up} />
        <Problem error={error} onRetry={refetch} />
      </>
    );
  if (!adapter) return <PageHead title="Adapter" up={up} />;
  const saveNote = async (note: string | null) => {
    await graft.adapters.setNote(id, note);
    await refetchAdapter(id);
  };
  return (
    <>
      <PageHead title={adapter.name} up={up} actions={<DeleteAll adapter={adapter} />}>
        <p class="soft">Base model: {adapter.base_model}</p>
      </PageHead>
      <Note subject="adapter" note={adapter.note} save={saveNote} />
      <Versions id={id} shown={number} query={versions} />
      {version.error ? (
        <Problem error={version.error} onRetry={version.refetch} />
      ) : (
        // After the table above it, which would push it down.
        versions.data && version.data && <Version adapter={adapter} version={version.data} />
      )}
    </>
  );
}

function DeleteAll({ adapter: { id, name, tags } }: { adapter: Adapter }) {
  const [isConfirming, setIsConfirming] = useState(false);
  const [, go] = useLocation();
  const forgetAdapter = useForgetAdapter();
  const canWrite = usePermission('adapters:write');
  const remove = useAction({
    run: (adapterId: string) => graft.adapters.delete(adapterId),
    invalidates: [],
    successMessage: ({ versions }) => `${name} deleted (${counted(versions, 'version')}).`,
    onDone: () => {
      go('/adapters?show=deleted');
      void forgetAdapter(id);
    },
  });
  if (!canWrite) return null;
  return (
    <>
      <Button
        disabled={tags.length > 0}
        {...(tags.length > 0 && { title: 'Remove all tags before you delete the adapter.' })}
        onClick={() => setIsConfirming(true)}
      >
        Delete adapter
      </Button>
      {isConfirming && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete all versions"
          busy={remove.isPending}
          onConfirm={() => remove.mutate(id, { onError: () => setIsConfirming(false) })}
          onClose={() => setIsConfirming(false)}
        >
          <p>
            All its versions are deleted and can no longer be called. You can restore them for a few days
            under Adapters → Deleted.
          </p>
        </Confirm>
      )}
    </>
  );
}
