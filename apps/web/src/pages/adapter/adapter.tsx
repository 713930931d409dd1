import type { Adapter } from '@graft/client';
import { useMutation } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { useLocation, useParams } from 'wouter-preact';
import '../../styles/pages/adapter.css';
import { Confirm } from '../../components/dialog.tsx';
import { Button } from '../../components/forms/button.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { toast, toastError } from '../../components/toast.tsx';
import {
  useAdapter,
  useAdapterChanged,
  useAdapterGone,
  useVersion,
  useVersions,
} from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { useMay } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { Note } from './note.tsx';
import { Version } from './version.tsx';
import { Versions } from './versions.tsx';

const up = { href: '/adapters', text: 'Adapters' };

/** An adapter, its versions, and one of them, which the address names; else the newest. */
export function AdapterPage() {
  const { id } = useParams<{ id: string }>();
  const [state] = useQueryState({ version: '' });
  const changed = useAdapterChanged();
  const { data: adapter, error, refetch } = useAdapter(id);
  const asked = /^[1-9]\d{0,8}$/.test(state.version) ? Number(state.version) : null;
  const number = asked ?? adapter?.latest_version ?? null;
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
    await changed(id);
  };
  return (
    <>
      <PageHead title={adapter.name} up={up} actions={<DeleteAll adapter={adapter} />}>
        <p class="soft">On {adapter.base_model}</p>
      </PageHead>
      <Note of="the adapter" note={adapter.note} save={saveNote} />
      <Versions id={id} shown={number} query={versions} />
      {version.error ? (
        <Problem error={version.error} onRetry={version.refetch} />
      ) : (
        // Not before what stands above it, which would push it down.
        versions.data && version.data && <Version adapter={adapter} version={version.data} />
      )}
    </>
  );
}

function DeleteAll({ adapter: { id, name, tags } }: { adapter: Adapter }) {
  const [isAsked, setAsked] = useState(false);
  const [, go] = useLocation();
  const gone = useAdapterGone();
  const mayWrite = useMay('adapters:write');
  const { mutate, isPending } = useMutation({
    mutationFn: () => graft.adapters.delete(id),
    onSuccess: async ({ versions }) => {
      toast(`${name} is deleted, with ${versions} version${versions === 1 ? '' : 's'}.`);
      go('/adapters?show=deleted');
      await gone(id);
    },
    onError: (error) => {
      toastError(error);
      setAsked(false);
    },
  });
  if (!mayWrite) return null;
  return (
    <>
      <Button
        disabled={tags.length > 0}
        {...(tags.length > 0 && { title: 'An adapter with tags cannot be deleted: remove them first.' })}
        onClick={() => setAsked(true)}
      >
        Delete the adapter
      </Button>
      {isAsked && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete all versions"
          busy={isPending}
          onConfirm={mutate}
          onClose={() => setAsked(false)}
        >
          <p>
            All of its versions go, and nobody can call them any more. For some days each can be restored,
            among the deleted ones of the adapters.
          </p>
        </Confirm>
      )}
    </>
  );
}
