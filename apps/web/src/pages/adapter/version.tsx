import type { Adapter, AdapterVersion } from '@graft/client';
import { useMutation } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { CodeBlock } from '../../components/code-block.tsx';
import { Confirm } from '../../components/dialog.tsx';
import { Disclosure } from '../../components/disclosure.tsx';
import { Button, LinkButton } from '../../components/forms/button.tsx';
import { CopyButton } from '../../components/forms/copy-button.tsx';
import { Icon } from '../../components/icon.tsx';
import { Properties } from '../../components/lists/properties.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Time } from '../../components/time.tsx';
import { toast, toastError } from '../../components/toast.tsx';
import { useAdapterChanged, useAdapterGone } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { useMay } from '../../data/session.ts';
import { playgroundWith } from '../../router/playground-with.ts';
import { bytes, measure } from '../../text/numbers.ts';
import { Lineage } from './lineage.tsx';
import { Note } from './note.tsx';
import { Tags } from './tags.tsx';
import { UseIt } from './use-it.tsx';
import { maker } from './versions.tsx';

/** One version: what it is, where it came from, and how it is used. */
export function Version({ adapter, version }: { adapter: Adapter; version: AdapterVersion }) {
  const changed = useAdapterChanged();
  const { adapter_id, version: number, metrics } = version;
  const measured = leavesOf(metrics ?? {});
  const saveNote = async (note: string | null) => {
    await graft.adapters.versions.setNote(adapter_id, number, note);
    await changed(adapter_id);
  };
  return (
    <section class="stack">
      <header class="adapter-version-head">
        <h2>Version {number}</h2>
        <Actions version={version} />
      </header>
      <div class="adapter-columns">
        <div class="stack">
          <Properties
            of={[
              ['Model', <ModelName key="model" name={version.model} />],
              ['Made by', maker(version)],
              ['Created', <Time key="created" at={version.created_at} />],
              ['Size', bytes(version.bytes)],
              ['Digest', <code key="digest">{version.digest}</code>],
            ]}
          />
          <Note of="the version" note={version.note} save={saveNote} />
          <h3>Tags</h3>
          <Tags key={number} adapter={adapter} version={version} />
          {measured.length > 0 && (
            <>
              <h3>Measured</h3>
              <Properties of={measured.map(([name, value]) => [name.replaceAll('_', ' '), value])} />
            </>
          )}
        </div>
        <div class="stack">
          <h3>Use it</h3>
          <UseIt version={version} />
        </div>
      </div>
      <h3>Where it came from, and what came from it</h3>
      <Lineage version={version} />
      <h3>Files</h3>
      <Files files={version.files} />
      <Disclosure summary="Configuration">
        <CodeBlock label="Configuration" text={JSON.stringify(version.peft, null, 2)} />
      </Disclosure>
      <Disclosure summary="What it was made from">
        <CodeBlock label="What it was made from" text={JSON.stringify(version.lineage, null, 2)} />
      </Disclosure>
    </section>
  );
}

const ModelName = ({ name }: { name: string }) => (
  <span class="adapter-model">
    <code>{name}</code>
    <CopyButton text={name} label="Copy the name" />
  </span>
);

/** Names and values of what was measured, however deep it stands. */
function leavesOf(value: object, path = ''): [string, string][] {
  return Object.entries(value).flatMap(([key, inner]): [string, string][] => {
    const name = path ? `${path} ${key}` : key;
    if (typeof inner === 'object' && inner !== null) return leavesOf(inner, name);
    return inner === null ? [] : [[name, typeof inner === 'number' ? measure(inner) : String(inner)]];
  });
}

const Files = ({ files }: Pick<AdapterVersion, 'files'>) => (
  <Table
    label="Files"
    minWidth="36rem"
    rows={files}
    rowKey={({ path }) => path}
    columns={[
      { head: 'File', cell: ({ path }) => path, names: true, width: '18rem' },
      { head: 'Size', cell: (file) => bytes(file.bytes), end: true, width: '7rem' },
      {
        head: 'SHA-256',
        cell: ({ sha256 }) => (
          <code class="cut" title={sha256}>
            {sha256}
          </code>
        ),
      },
    ]}
  />
);

function Actions({ version }: { version: AdapterVersion }) {
  const [isAsked, setAsked] = useState(false);
  const mayCall = useMay('completions:write');
  const mayWrite = useMay('adapters:write');
  const { adapter_id, version: number, model, base_model, download_path, tags } = version;
  return (
    <div class="row">
      {mayCall && (
        <LinkButton icon="talk" href={playgroundWith(base_model, model)}>
          Try it
        </LinkButton>
      )}
      <LinkButton icon="compare" href={`/adapters/compare?${new URLSearchParams({ b: model })}`}>
        Compare
      </LinkButton>
      <a class="button" href={download_path} download>
        <Icon name="download" /> Download
      </a>
      {mayWrite && (
        <Button
          kind="danger"
          disabled={tags.length > 0}
          {...(tags.length > 0 && { title: 'A version with a tag cannot be deleted: move its tags first.' })}
          onClick={() => setAsked(true)}
        >
          Delete
        </Button>
      )}
      {isAsked && (
        <Delete key={`${adapter_id} ${number}`} version={version} onClose={() => setAsked(false)} />
      )}
    </div>
  );
}

function Delete({ version, onClose }: { version: AdapterVersion; onClose: () => void }) {
  const changed = useAdapterChanged();
  const gone = useAdapterGone();
  const [, go] = useLocation();
  const { adapter_id, adapter_name, version: number } = version;
  const restore = useMutation({
    mutationFn: () => graft.adapters.versions.restore(adapter_id, number),
    onSuccess: async () => {
      await changed(adapter_id);
      go(`/adapters/${adapter_id}?version=${number}`);
    },
    onError: toastError,
  });
  const { mutate, isPending } = useMutation({
    mutationFn: () => graft.adapters.versions.delete(adapter_id, number),
    onSuccess: async () => {
      toast(`Version ${number} of ${adapter_name} is deleted.`, { label: 'Undo', run: restore.mutate });
      // Of the last version the adapter went with it.
      go('/adapters');
      await gone(adapter_id);
    },
    onError: (error) => {
      toastError(error);
      onClose();
    },
  });
  return (
    <Confirm
      title={`Delete version ${number}?`}
      action="Delete it"
      busy={isPending}
      onConfirm={mutate}
      onClose={onClose}
    >
      <p>
        Nobody can call it any more. For some days it can be restored, among the deleted ones of the adapters.
      </p>
    </Confirm>
  );
}
