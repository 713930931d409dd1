import type { Me } from '@graft/client';
import { useQueryClient } from '@tanstack/preact-query';
import { Cut } from '../components/cut.tsx';
import { Button } from '../components/forms/button.tsx';
import { Select } from '../components/forms/field.tsx';
import { useAction } from '../components/forms/form.tsx';
import { graft } from '../data/graft.ts';
import { useSignOut } from '../data/session.ts';

/** The signed-in user, the current team, the guide and the sign-out button. */
export function Account({ me }: { me: Me }) {
  const cache = useQueryClient();
  const signOut = useAction({ run: useSignOut() });
  const switchTeam = useAction({
    run: (team: string) => graft.sessions.chooseTeam(team),
    // All cached data belongs to the previous team.
    onDone: () => void cache.resetQueries(),
  });
  const { team, teams } = me;
  const user = `${me.person?.email ?? `Key ${me.key?.id ?? ''}`}${me.role ? ` · ${me.role}` : ''}`;
  return (
    <div class="account">
      <div class="account-user">
        {teams && teams.length > 1 ? (
          <Select
            label="Team"
            hideLabel
            value={team?.id ?? ''}
            onValue={switchTeam.mutate}
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
        <Cut text={user} class="small soft" />
      </div>
      <a class="small" href="/docs/guide/">
        Guide
      </a>
      <Button kind="quiet" small busy={signOut.isPending} onClick={() => signOut.mutate()}>
        Sign out
      </Button>
    </div>
  );
}
