import type { Adapter, AdapterVersion, MovedAdapterTag } from '@graft/client';
import type { UseMutationResult } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { useAction } from '../../components/forms/form.tsx';
import { describeError } from '../../components/problem.tsx';
import { Tag } from '../../components/tag.tsx';
import { toast, toastError } from '../../components/toast.tsx';
import { adapterKeys } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';

interface TagMove {
  tag: string;
  version: number;
  /** The version it points to according to this page; another user may have moved it. */
  expected: number | null;
}

/** The tags of a version. Requests can use a tag's name, and a tag can be moved to another version. */
export function Tags({ adapter, version }: { adapter: Adapter; version: AdapterVersion }) {
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
