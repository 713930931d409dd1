import type { Adapter, DeployTarget } from '@graft/client';
import { type RuntimeName, runtimeTitles } from '@graft/wire/lists';
import { useLocation, useParams } from 'wouter-preact';
import { Badge } from '../../components/badge.tsx';
import { Cut } from '../../components/cut.tsx';
import { Select, TextField } from '../../components/forms/field.tsx';
import {
  Confirm,
  ConfirmButton,
  DialogButton,
  FormDialog,
  useAction,
  useForm,
} from '../../components/forms/form.tsx';
import { rowsOf, ShortListing } from '../../components/lists/listing.tsx';
import { PageHead, PendingPage } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { Tag } from '../../components/tag.tsx';
import { Time } from '../../components/time.tsx';
import { adapterLists, useAdapter, useVersion, useVersions } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
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

const { deployTargets } = graft;

/** The runtimes that follow a tag of the adapter, with their states. Nothing for users who may not see them. */
function DeployTargets({ adapter }: { adapter: Adapter }) {
  return usePermission('deploy:read') ? <Targets adapter={adapter} /> : null;
}

function Targets({ adapter }: { adapter: Adapter }) {
  const canEdit = usePermission('deploy:write', 'admin');
  const key = ['adapter', adapter.id, 'deploy targets'];
  const pages = usePages(key, () => deployTargets.list({ adapter_id: adapter.id }), {
    refetchInterval: 5000,
  });
  const retry = useAction({
    run: ({ id, state }: DeployTarget) =>
      state === 'disabled' ? deployTargets.update(id, { enabled: true }) : deployTargets.retry(id),
    invalidates: [key],
  });
  if (!canEdit && rowsOf(pages).length === 0) return null;
  return (
    <section class="stack">
      <header class="section-head">
        <h2>Deploy targets</h2>
        {canEdit && (
          <DialogButton icon="add" dialog={<DeployTargetForm adapter={adapter} invalidates={key} />}>
            Add target
          </DialogButton>
        )}
      </header>
      <ShortListing
        pages={pages}
        label="Deploy targets"
        minWidth="52rem"
        emptyText="No runtime follows a tag of this adapter."
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
            width: '12rem',
            actions: (row) =>
              canEdit && [
                {
                  text: row.state === 'disabled' ? 'Enable' : 'Retry',
                  kind: 'plain',
                  run: () => retry.mutate(row),
                },
                {
                  text: 'Delete',
                  dialog: (
                    <Confirm
                      title={`Delete ${row.name}?`}
                      action="Delete target"
                      run={() => deployTargets.delete(row.id)}
                      invalidates={[key]}
                      successMessage={() => `${row.name} deleted.`}
                    >
                      <p>The runtime unloads the adapter, and its files are removed.</p>
                    </Confirm>
                  ),
                },
              ],
          },
        ]}
      />
    </section>
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

const runtimeOptions = Object.entries(runtimeTitles) as [RuntimeName, string][];

function DeployTargetForm({ adapter, invalidates }: { adapter: Adapter; invalidates: string[] }) {
  const form = useForm({
    initial: {
      name: '',
      runtime: 'vllm' as RuntimeName,
      url: '',
      tag: adapter.tags[0]?.tag ?? 'production',
      model_name: adapter.name,
      folder: '',
      api_key: '',
    },
    run: ({ folder, api_key, ...fields }) =>
      deployTargets.create({
        ...fields,
        adapter_id: adapter.id,
        ...(folder.trim() && { folder: folder.trim() }),
        ...(api_key && { api_key }),
      }),
    invalidates: [invalidates, ['audit']],
  });
  return (
    <FormDialog title="Add deploy target" action="Add" form={form}>
      <TextField label="Name" autofocus maxLength={64} {...form.field('name')} />
      <Select label="Runtime" {...form.field('runtime')} options={runtimeOptions} />
      <TextField
        label="URL"
        type="url"
        placeholder="https://vllm.example.com"
        hint="One server, without /v1."
        {...form.field('url')}
      />
      <TextField
        label="API key"
        type="password"
        autocomplete="off"
        hint="The key that the runtime was started with. Required if it is not on the internet."
        {...form.field('api_key')}
      />
      <TextField label="Tag" maxLength={32} {...form.field('tag')} />
      <TextField
        label="Model name"
        maxLength={128}
        hint="Requests to the runtime use this name and the version: support-v3."
        {...form.field('model_name')}
      />
      <TextField
        label="Folder"
        placeholder="/adapters"
        hint="Path at which the runtime sees your team's part of the shared folder, if it is another than here."
        {...form.field('folder')}
      />
    </FormDialog>
  );
}
