import { useMutation, useQuery, useQueryClient } from '@tanstack/preact-query';
import { Button } from '../../components/forms/button.tsx';
import { Time } from '../../components/time.tsx';
import { toastError } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { useSendings } from '../../data/uploads.ts';
import { bytes, percent } from '../../text/numbers.ts';

/** Uploads that broke off, here or elsewhere: whoever chooses the same file again goes on with them. */
export function Unfinished() {
  const cache = useQueryClient();
  const sendings = useSendings();
  const uploads = useQuery({
    queryKey: ['uploads', 'pending'],
    queryFn: async () => (await graft.uploads.list({ status: 'pending', limit: 100 }).page()).data,
  });
  const give = useMutation({
    mutationFn: (id: string) => graft.uploads.cancel(id),
    onSettled: () => cache.invalidateQueries({ queryKey: ['uploads'] }),
    onError: toastError,
  });
  const isHere = (name: string) =>
    sendings.some((each) => each.name === name && each.state !== 'done' && each.state !== 'refused');
  const left = (uploads.data ?? []).filter(({ filename }) => !isHere(filename));
  if (left.length === 0) return null;
  return (
    <section class="files-unfinished" aria-label="Unfinished uploads">
      <h2>Unfinished uploads</h2>
      <p class="soft small">Choose the same file again, and it goes on where it was.</p>
      <ul>
        {left.map(({ id, filename, received_bytes, bytes: all, expires_at }) => (
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
    </section>
  );
}
