import type { Adapter, AdapterVersion, MovedAdapterTag } from '@graft/client';
import type { UseMutationResult } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { CodeBlock } from '../../components/code-block.tsx';
import { Cut } from '../../components/cut.tsx';
import { Disclosure } from '../../components/disclosure.tsx';
import { Button, DownloadLink, IconButton, LinkButton } from '../../components/forms/button.tsx';
import { CopyButton } from '../../components/forms/copy-button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { ConfirmButton, useAction } from '../../components/forms/form.tsx';
import { type Fact, Facts } from '../../components/lists/facts.tsx';
import { Table } from '../../components/lists/table.tsx';
import { describeError } from '../../components/problem.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { Tag } from '../../components/tag.tsx';
import { Time } from '../../components/time.tsx';
import { toast, toastError } from '../../components/toast.tsx';
import { adapterKeys, adapterLists } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { useJobOptions } from '../../data/job-options.ts';
import { usePermission } from '../../data/session.ts';
import { describeVersionMetric } from '../../data/version-metrics.ts';
import { useQueryState } from '../../router/query-state.ts';
import { bytes } from '../../text/numbers.ts';
import { PlaygroundLink } from '../playground/playground-link.tsx';
import { Effect } from './effect.tsx';
import { Exports } from './exports.tsx';
import { Lineage } from './lineage.tsx';
import { Note } from './note.tsx';
import { Publications } from './publications.tsx';
import { UsageCode } from './usage-code.tsx';
import { Creator } from './versions.tsx';

/** One version: its properties and result, then a tab for each use of it. */
export function Version({ adapter, version }: { adapter: Adapter; version: AdapterVersion }) {
  const { adapter_id, version: number } = version;
  const [{ tab }, , field] = useQueryState({ tab: 'use' });
  const shown = tab in tabs ? (tab as Tab) : 'use';
  const { Content } = tabs[shown];
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
        </div>
        <div class="stack">
          <Effect version={version} />
          <Metrics metrics={version.metrics ?? {}} />
        </div>
      </div>
      <Tabs label="Version details" {...field('tab')} value={shown} tabs={tabTexts} />
      <Content version={version} />
    </section>
  );
}

const ModelName = ({ name }: { name: string }) => (
  <span class="row adapter-model">
    <code>{name}</code>
    <CopyButton text={name} label="Copy name" />
  </span>
);

/** Measured values of the training, besides those of the effect. */
function Metrics({ metrics }: { metrics: object }) {
  const objectives = useJobOptions().data?.objectives;
  const facts = leavesOf(metrics).flatMap(([path, value]): Fact[] => {
    const { label, format } = describeVersionMetric(path, objectives);
    return /^(proof|validation)/.test(path)
      ? []
      : [{ name: label, value: typeof value === 'number' ? format(value) : String(value) }];
  });
  return facts.length > 0 ? <Facts inRows facts={facts} /> : null;
}

/** The values of an object and of the objects in it, by dotted path, without nulls. */
const leavesOf = (value: object, path = ''): [path: string, value: unknown][] =>
  Object.entries(value).flatMap(([key, inner]): [string, unknown][] => {
    if (inner === null) return [];
    return typeof inner === 'object' ? leavesOf(inner, `${path}${key}.`) : [[`${path}${key}`, inner]];
  });

const Files = ({ version }: { version: AdapterVersion }) => (
  <>
    <Table
      label="Files"
      minWidth="36rem"
      rows={version.files}
      rowKey={({ path }) => path}
      columns={[
        { head: 'File', cell: ({ path }) => path, width: '18rem' },
        { head: 'Size', cell: (file) => bytes(file.bytes), end: true, width: '7rem' },
        { head: 'SHA-256', cell: ({ sha256 }) => <Cut isCode text={sha256} /> },
      ]}
    />
    <Disclosure summary="Configuration">
      <CodeBlock label="Configuration" text={JSON.stringify(version.peft, null, 2)} />
    </Disclosure>
  </>
);

const Origin = ({ version }: { version: AdapterVersion }) => (
  <>
    <Lineage version={version} />
    <Disclosure summary="Training inputs">
      <CodeBlock label="Training inputs" text={JSON.stringify(version.lineage, null, 2)} />
    </Disclosure>
  </>
);

const tabs = {
  use: { text: 'Use', Content: UsageCode },
  exports: { text: 'Exports', Content: Exports },
  publish: { text: 'Publish', Content: Publications },
  files: { text: 'Files', Content: Files },
  lineage: { text: 'Lineage', Content: Origin },
};
type Tab = keyof typeof tabs;
const tabTexts = Object.entries(tabs).map(([name, { text }]) => [name as Tab, text] as const);

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

interface TagMove {
  tag: string;
  version: number;
  /** The version it points to according to this page; another user may have moved it. */
  expected: number | null;
}

/** The tags of a version. Requests can use a tag's name, and a tag can be moved to another version. */
function Tags({ adapter, version }: { adapter: Adapter; version: AdapterVersion }) {
  const canWrite = usePermission('adapters:write');
  const move = useAction({
    run: ({ tag, version, expected }: TagMove) =>
      graft.adapters.tags.move(adapter.id, tag, version, { expected }),
    invalidates: adapterKeys,
    quiet: true,
    onDone: ({ tag, version, previous_version: previous }) => {
      const undo = () =>
        previous === null
          ? remove.mutate(tag)
          : move.mutate({ tag, version: previous, expected: version }, { onError: toastError });
      if (previous !== version)
        toast(`${tag} now points to version ${version}.`, { label: 'Undo', run: undo });
    },
  });
  const remove = useAction({
    run: (tag: string) => graft.adapters.tags.remove(adapter.id, tag),
    invalidates: adapterKeys,
    onDone: ({ tag }) => {
      const expected = null;
      const undo = () => move.mutate({ tag, version: version.version, expected }, { onError: toastError });
      toast(`Tag ${tag} removed.`, { label: 'Undo', run: undo });
    },
  });
  return (
    <div class="stack">
      {version.tags.length > 0 ? (
        <ul class="row tags" aria-label="Tags">
          {version.tags.map((tag) => (
            <li key={tag} class="tags-item">
              <Tag name={tag} />
              {canWrite && (
                <IconButton label={`Remove ${tag}`} icon="close" small onClick={() => remove.mutate(tag)} />
              )}
            </li>
          ))}
        </ul>
      ) : (
        <p class="soft">No tags.</p>
      )}
      {canWrite && <TagForm adapter={adapter} version={version.version} move={move} />}
    </div>
  );
}

function TagForm({
  adapter,
  version,
  move,
}: {
  adapter: Adapter;
  version: number;
  move: UseMutationResult<MovedAdapterTag, Error, TagMove>;
}) {
  const [text, setText] = useState('');
  const tag = text.trim();
  const current = adapter.tags.find((each) => each.tag === tag);
  const submit = (event: Event) => {
    event.preventDefault();
    if (tag)
      move.mutate({ tag, version, expected: current?.version ?? null }, { onSuccess: () => setText('') });
  };
  const moves = current && current.version !== version;
  return (
    <form class="row tag-form" onSubmit={submit} noValidate>
      <TextField
        label="Tag"
        hideLabel
        placeholder="production"
        maxLength={64}
        spellcheck={false}
        autocomplete="off"
        value={text}
        error={move.error && describeError(move.error).text}
        onValue={(value) => {
          setText(value);
          if (move.error) move.reset();
        }}
        hint={moves ? `Moves the tag from version ${current.version} to this version.` : null}
      />
      <Button type="submit" busy={move.isPending} disabled={!tag}>
        {moves ? 'Move tag' : 'Add tag'}
      </Button>
    </form>
  );
}
