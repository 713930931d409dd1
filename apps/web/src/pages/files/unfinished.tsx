import type { UploadObject } from '@graft/client';
import { useMutation, useQuery, useQueryClient } from '@tanstack/preact-query';
import { Disclosure } from '../../components/disclosure.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Time } from '../../components/time.tsx';
import { toastError } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { useSendings } from '../../data/uploads.ts';
import { bytes, count, percent } from '../../text/numbers.ts';

/** The newest; the others where they are wanted. */
const mostShown = 3;

export const usePendingUploads = (enabled = true) =>
  useQuery({
    enabled,
    queryKey: ['uploads', 'pending'],
    queryFn: async () => (await graft.uploads.list({ status: 'pending', limit: 100 }).page()).data,
  });

/** Uploads that broke off, here or elsewhere: whoever chooses the same file again goes on with them. */
export function Unfinished() {
  const sendings = useSendings();
  const uploads = usePendingUploads();
  const isHere = (name: string) =>
    sendings.some((each) => each.name === name && each.state !== 'done' && each.state !== 'refused');
  const left = (uploads.data ?? []).filter(({ filename }) => !isHere(filename));
  if (left.length === 0) return null;
  return (
    <section class="files-unfinished" aria-label="Unfinished uploads">
      <h2>Unfinished uploads</h2>
      <p class="soft small">Choose the same file again, and it goes on where it was.</p>
      <Uploads of={left.slice(0, mostShown)} />
      {left.length > mostShown && (
        <Disclosure summary={`${count(left.length - mostShown)} more`}>
          <Uploads of={left.slice(mostShown)} />
        </Disclosure>
      )}
    </section>
  );
}

function Uploads({ of: uploads }: { of: readonly UploadObject[] }) {
  const cache = useQueryClient();
  const give = useMutation({
    mutationFn: (id: string) => graft.uploads.cancel(id),
    onSettled: () => cache.invalidateQueries({ queryKey: ['uploads'] }),
    onError: toastError,
  });
  return (
    <ul>
      {uploads.map(({ id, filename, received_bytes, bytes: all, expires_at }) => (
        <li key={id}>
          <strong class="cut" title={filename}>
            {filename}
          </strong>
          <span class="small soft">
            {percent(received_bytes / all)} of {bytes(all)} · given up <Time at={expires_at} />
          </span>
          <Button small kind="quiet" busy={give.isPending} onClick={() => give.mutate(id)}>
            Discard <span class="visually-hidden">{filename}</span>
          </Button>
        </li>
      ))}
    </ul>
  );
}
