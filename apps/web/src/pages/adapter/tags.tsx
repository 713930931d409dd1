import type { Adapter, AdapterVersion, MovedAdapterTag } from '@graft/client';
import { type UseMutationResult, useMutation } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { wordsOf } from '../../components/problem.tsx';
import { Tag } from '../../components/tag.tsx';
import { toast, toastError } from '../../components/toast.tsx';
import { useAdapterChanged } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { useMay } from '../../data/session.ts';

interface Move {
  tag: string;
  version: number;
  /** Where it points as far as this page knows; somebody else may have moved it since. */
  expected: number | null;
}

/** The tags of a version: names that requests take, and that are moved from one version to another. */
export function Tags({ adapter, version }: { adapter: Adapter; version: AdapterVersion }) {
  const mayWrite = useMay('adapters:write');
  const changed = useAdapterChanged();
  const put = useMutation({
    mutationFn: ({ tag, version, expected }: Move) =>
      graft.adapters.tags.move(adapter.id, tag, version, { expected }),
    // Also when somebody was faster: then what they did is shown.
    onSettled: () => changed(adapter.id),
    onSuccess: ({ tag, version, previous_version: previous }) => {
      const back = () =>
        previous === null
          ? remove.mutate(tag)
          : put.mutate({ tag, version: previous, expected: version }, { onError: toastError });
      if (previous !== version) toast(`${tag} is version ${version} now.`, { label: 'Undo', run: back });
    },
  });
  const remove = useMutation({
    mutationFn: (tag: string) => graft.adapters.tags.remove(adapter.id, tag),
    onSettled: () => changed(adapter.id),
    onSuccess: ({ tag }) => {
      const expected = null;
      const back = () => put.mutate({ tag, version: version.version, expected }, { onError: toastError });
      toast(`The tag ${tag} is removed.`, { label: 'Undo', run: back });
    },
    onError: toastError,
  });
  return (
    <div class="stack">
      {version.tags.length > 0 ? (
        <ul class="row tags" aria-label="Tags">
          {version.tags.map((tag) => (
            <li key={tag} class="tags-tag">
              <Tag name={tag} />
              {mayWrite && (
                <IconButton label={`Remove ${tag}`} icon="close" small onClick={() => remove.mutate(tag)} />
              )}
            </li>
          ))}
        </ul>
      ) : (
        <p class="soft">No tag points at it.</p>
      )}
      {mayWrite && <Put adapter={adapter} version={version.version} put={put} />}
    </div>
  );
}

function Put({
  adapter,
  version,
  put,
}: {
  adapter: Adapter;
  version: number;
  put: UseMutationResult<MovedAdapterTag, Error, Move>;
}) {
  const [text, setText] = useState('');
  const tag = text.trim();
  const there = adapter.tags.find((each) => each.tag === tag);
  const submit = (event: Event) => {
    event.preventDefault();
    if (tag) put.mutate({ tag, version, expected: there?.version ?? null }, { onSuccess: () => setText('') });
  };
  const moves = there && there.version !== version;
  return (
    <form class="tags-put" onSubmit={submit} noValidate>
      <TextField
        label="Tag"
        bare
        placeholder="production"
        maxLength={64}
        spellcheck={false}
        autocomplete="off"
        value={text}
        error={put.error && wordsOf(put.error).text}
        onValue={(value) => {
          setText(value);
          if (put.error) put.reset();
        }}
        hint={moves ? `Moves it from version ${there.version} to this one.` : null}
      />
      <Button type="submit" busy={put.isPending} disabled={!tag}>
        {moves ? 'Move the tag' : 'Add the tag'}
      </Button>
    </form>
  );
}
