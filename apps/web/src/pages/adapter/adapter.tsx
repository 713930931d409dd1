import type { Adapter } from '@graft/client';
import { useLocation, useParams } from 'wouter-preact';
import { ConfirmButton } from '../../components/forms/form.tsx';
import { PageHead, PendingPage } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { adapterLists, useAdapter, useVersion, useVersions } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { counted } from '../../text/numbers.ts';
import { DeployTargets } from './deploy-targets.tsx';
import { Note } from './note.tsx';
import { Version } from './version.tsx';
import { Versions } from './versions.tsx';

const up = { href: '/adapters', text: 'Adapters' };

/** An adapter, its versions, and the details of one: the version in the URL, else the newest. */
export function AdapterPage() {
  const { id } = useParams<{ id: string }>();
  const [state] = useQueryState({ version: '' });
  const query = useAdapter(id);
  const adapter = query.error ? undefined : query.data;
  const requested = /^[1-9]\d{0,8}$/.test(state.version) ? Number(state.version) : null;
  const number = requested ?? adapter?.latest_version ?? null;
  const versions = useVersions(id);
  const version = useVersion(id, number);
  if (!adapter) return <PendingPage title="Adapter" up={up} query={query} />;
  return (
    <>
      <PageHead title={adapter.name} up={up} actions={<DeleteAll adapter={adapter} />}>
        <p class="soft">Base model: {adapter.base_model}</p>
      </PageHead>
      <Note subject="adapter" note={adapter.note} save={(note) => graft.adapters.setNote(id, note)} />
      <Versions id={id} shown={number} query={versions} />
      {version.error ? (
        <Problem error={version.error} onRetry={version.refetch} />
      ) : (
        // After the table above it, which would push it down.
        versions.data && version.data && <Version adapter={adapter} version={version.data} />
      )}
      <DeployTargets adapter={adapter} />
    </>
  );
}

function DeleteAll({ adapter: { id, name, tags } }: { adapter: Adapter }) {
  const [, go] = useLocation();
  if (!usePermission('adapters:write')) return null;
  return (
    <ConfirmButton
      button={{
        children: 'Delete adapter',
        disabled: tags.length > 0,
        ...(tags.length > 0 && { title: 'Remove all tags before you delete the adapter.' }),
      }}
      title={`Delete ${name}?`}
      action="Delete all versions"
      run={() => graft.adapters.delete(id)}
      removes={[['adapter', id]]}
      invalidates={adapterLists}
      successMessage={({ versions }) => `${name} deleted (${counted(versions, 'version')}).`}
      onDone={() => go('/adapters?show=deleted')}
    >
      <p>
        All its versions are deleted and can no longer be called. You can restore them for a few days under
        Adapters → Deleted.
      </p>
    </ConfirmButton>
  );
}
