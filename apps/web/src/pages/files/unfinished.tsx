import type { UploadObject } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Disclosure } from '../../components/disclosure.tsx';
import { Button } from '../../components/forms/button.tsx';
import { useAction } from '../../components/forms/form.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { useUploads } from '../../data/uploads.ts';
import { bytes, count, percent } from '../../text/numbers.ts';

/** Uploads shown at first. */
const maxShown = 3;

export const usePendingUploads = (enabled = true) =>
  useQuery({
    enabled,
    queryKey: ['uploads', 'pending'],
    queryFn: () => graft.uploads.list({ status: 'pending', limit: 100 }).toArray(100),
  });

/** Interrupted uploads. Selecting the same file again resumes them. */
export function Unfinished() {
  const activeUploads = useUploads();
  const pending = usePendingUploads();
  const isListed = (name: string) =>
    activeUploads.some((each) => each.name === name && each.state !== 'done' && each.state !== 'refused');
  const unfinished = (pending.data ?? []).filter(({ filename }) => !isListed(filename));
  if (unfinished.length === 0) return null;
  return (
    <section class="files-unfinished tight" aria-label="Unfinished uploads">
      <h2>Unfinished uploads</h2>
      <p class="soft small">Select the same file again to resume the upload.</p>
      <Uploads uploads={unfinished.slice(0, maxShown)} />
      {unfinished.length > maxShown && (
        <Disclosure summary={`${count(unfinished.length - maxShown)} more`}>
          <Uploads uploads={unfinished.slice(maxShown)} />
        </Disclosure>
      )}
    </section>
  );
}

function Uploads({ uploads }: { uploads: readonly UploadObject[] }) {
  const discard = useAction({
    run: (id: string) => graft.uploads.cancel(id),
    invalidates: [['uploads']],
  });
  return (
    <ul class="files-uploads">
      {uploads.map(({ id, filename, received_bytes, bytes: total, expires_at }) => (
        <li key={id}>
          <strong class="cut" title={filename}>
            {filename}
          </strong>
          <span class="small soft">
            {percent(received_bytes / total)} of {bytes(total)} · expires <Time at={expires_at} />
          </span>
          <Button small kind="quiet" busy={discard.isPending} onClick={() => discard.mutate(id)}>
            Discard <span class="visually-hidden">{filename}</span>
          </Button>
        </li>
      ))}
    </ul>
  );
}
