import type { Me } from '@graft/client';
import { useMutation, useQueryClient } from '@tanstack/preact-query';
import { Button } from '../components/forms/button.tsx';
import { Select } from '../components/forms/field.tsx';
import { toastError } from '../components/toast.tsx';
import { graft } from '../data/graft.ts';
import { useEndSession } from '../data/session.ts';

/** Who is signed in, in which team, and the way out. */
export function Account({ me }: { me: Me }) {
  const cache = useQueryClient();
  const signOut = useMutation({ mutationFn: useEndSession(), onError: toastError });
  const choose = useMutation({
    mutationFn: (team: string) => graft.sessions.chooseTeam(team),
    // Everything that was read is of the other team.
    onSuccess: () => cache.resetQueries(),
    onError: toastError,
  });
  const { team, teams } = me;
  return (
    <div class="account">
      <div class="account-who">
        {teams && teams.length > 1 ? (
          <Select
            label="Team"
            bare
            value={team?.id ?? ''}
            onValue={choose.mutate}
            options={[
              ...(team ? [] : [['', 'No team'] as const]),
              ...teams.map(({ id, name }) => [id, name] as const),
            ]}
          />
        ) : (
          <strong class="cut" title={team?.name}>
            {team?.name ?? (me.is_operator ? 'Operator' : 'No team')}
          </strong>
        )}
        <span class="cut small soft" title={me.person?.email}>
          {me.person?.email ?? `key ${me.key?.id ?? ''}`}
          {me.role && ` · ${me.role}`}
        </span>
      </div>
      <Button kind="quiet" small busy={signOut.isPending} onClick={() => signOut.mutate()}>
        Sign out
      </Button>
    </div>
  );
}
