import type { Adapter, AdapterVersion } from '@graft/client';
import { useLocation } from 'wouter-preact';
import { CodeBlock } from '../../components/code-block.tsx';
import { Cut } from '../../components/cut.tsx';
import { Disclosure } from '../../components/disclosure.tsx';
import { DownloadLink, LinkButton } from '../../components/forms/button.tsx';
import { CopyButton } from '../../components/forms/copy-button.tsx';
import { ConfirmButton, useAction } from '../../components/forms/form.tsx';
import { type Fact, Facts } from '../../components/lists/facts.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Time } from '../../components/time.tsx';
import { toast } from '../../components/toast.tsx';
import { adapterKeys, adapterLists } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';
import { bytes, measure } from '../../text/numbers.ts';
import { PlaygroundLink } from '../playground/playground-link.tsx';
import { Exports } from './exports.tsx';
import { Lineage } from './lineage.tsx';
import { Note } from './note.tsx';
import { Publications } from './publications.tsx';
import { Tags } from './tags.tsx';
import { UsageCode } from './usage-code.tsx';
import { Creator } from './versions.tsx';

/** One version: properties, tags, metrics, usage, lineage and files. */
export function Version({ adapter, version }: { adapter: Adapter; version: AdapterVersion }) {
  const { adapter_id, version: number, metrics } = version;
  const metricRows = flattenMetrics(metrics ?? {});
  return (
    <section class="stack">
      <header class="section-head">
        <h2>Version {number}</h2>
        <Actions version={version} />
      </header>
      <div class="adapter-columns">
        <div class="stack">
          <Facts
            inRows
            facts={[
              { name: 'Model', value: <ModelName name={version.model} /> },
              { name: 'Created by', value: <Creator version={version} /> },
              { name: 'Created', value: <Time at={version.created_at} /> },
              { name: 'Size', value: bytes(version.bytes) },
              { name: 'Digest', value: <code>{version.digest}</code> },
            ]}
          />
          <Note
            subject="version"
            note={version.note}
            save={(note) => graft.adapters.versions.setNote(adapter_id, number, note)}
          />
          <h3>Tags</h3>
          <Tags key={number} adapter={adapter} version={version} />
          {metricRows.length > 0 && (
            <>
              <h3>Metrics</h3>
              <Facts inRows facts={metricRows} />
            </>
          )}
        </div>
        <div class="stack">
          <h3>Usage</h3>
          <UsageCode version={version} />
        </div>
      </div>
      <h3>Lineage</h3>
      <Lineage version={version} />
      <h3>Exports</h3>
      <Exports version={version} />
      <h3>Hugging Face Hub</h3>
      <Publications version={version} />
      <h3>Files</h3>
      <Files files={version.files} />
      <Disclosure summary="Configuration">
        <CodeBlock label="Configuration" text={JSON.stringify(version.peft, null, 2)} />
      </Disclosure>
      <Disclosure summary="Training inputs">
        <CodeBlock label="Training inputs" text={JSON.stringify(version.lineage, null, 2)} />
      </Disclosure>
    </section>
  );
}

const ModelName = ({ name }: { name: string }) => (
  <span class="row adapter-model">
    <code>{name}</code>
    <CopyButton text={name} label="Copy name" />
  </span>
);

/** Nested metrics as a flat list of names and values. */
function flattenMetrics(value: object, path = ''): Fact[] {
  return Object.entries(value).flatMap(([key, inner]): Fact[] => {
    const name = `${path}${key.replaceAll('_', ' ')}`;
    if (typeof inner === 'object' && inner !== null) return flattenMetrics(inner, `${name} `);
    return inner === null
      ? []
      : [{ name, value: typeof inner === 'number' ? measure(inner) : String(inner) }];
  });
}

const Files = ({ files }: Pick<AdapterVersion, 'files'>) => (
  <Table
    label="Files"
    minWidth="36rem"
    rows={files}
    rowKey={({ path }) => path}
    columns={[
      { head: 'File', cell: ({ path }) => path, width: '18rem' },
      { head: 'Size', cell: (file) => bytes(file.bytes), end: true, width: '7rem' },
      { head: 'SHA-256', cell: ({ sha256 }) => <Cut isCode text={sha256} /> },
    ]}
  />
);

function Actions({ version }: { version: AdapterVersion }) {
  const canWrite = usePermission('adapters:write');
  const { model, base_model, download_path } = version;
  return (
    <div class="row">
      <PlaygroundLink a={base_model} b={model}>
        Open in playground
      </PlaygroundLink>
      <LinkButton icon="compare" href={`/adapters/compare?${new URLSearchParams({ b: model })}`}>
        Compare
      </LinkButton>
      <DownloadLink icon="download" href={download_path}>
        Download
      </DownloadLink>
      {canWrite && <DeleteVersion key={version.id} version={version} />}
    </div>
  );
}

function DeleteVersion({ version }: { version: AdapterVersion }) {
  const [, go] = useLocation();
  const { adapter_id, adapter_name, version: number, tags } = version;
  const restore = useAction({
    run: () => graft.adapters.versions.restore(adapter_id, number),
    invalidates: adapterKeys,
    onDone: () => go(`/adapters/${adapter_id}?version=${number}`),
  });
  return (
    <ConfirmButton
      button={{
        kind: 'danger',
        children: 'Delete',
        disabled: tags.length > 0,
        ...(tags.length > 0 && { title: 'Move its tags before you delete the version.' }),
      }}
      title={`Delete version ${number}?`}
      action="Delete version"
      run={() => graft.adapters.versions.delete(adapter_id, number)}
      removes={[['adapter', adapter_id]]}
      invalidates={adapterLists}
      onDone={() => {
        toast(`Version ${number} of ${adapter_name} deleted.`, {
          label: 'Undo',
          run: () => restore.mutate(),
        });
        // Deleting the last version also deletes the adapter.
        go('/adapters');
      }}
    >
      <p>It can no longer be called. You can restore it for a few days under Adapters → Deleted.</p>
    </ConfirmButton>
  );
}
