import type { TeamObject } from '@graft/client';
import { useState } from 'preact/hooks';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { faultOf, restOf, useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { count } from '../../text/numbers.ts';
import { InvitationDialog } from '../team/invitation-dialog.tsx';

const touches = [['teams'], ['queue']];

/** Every team, with its share of the machines; what is in it, its operator does not see. */
export function Teams() {
  const teams = usePages(['teams'], () => graft.admin.teams.list({ limit: 100 }));
  const [edited, setEdited] = useState<TeamObject | 'new' | null>(null);
  const [invited, setInvited] = useState<TeamObject | null>(null);
  return (
    <section class="section">
      <div class="section-head">
        <p class="soft">Teams share the machines by weight, and have at most so many jobs at once.</p>
        <Button icon="add" kind="main" onClick={() => setEdited('new')}>
          Make a team
        </Button>
      </div>
      <Listing
        pages={teams}
        label="Teams"
        minWidth="50rem"
        empty={
          <Empty title="No teams yet">
            <p>A team owns files, jobs and adapters. Make one, and invite its first admin.</p>
          </Empty>
        }
        columns={[
          {
            head: 'Team',
            names: true,
            cell: ({ id, name }) => (
              <>
                <span class="cut" title={name}>
                  {name}
                </span>
                <code class="cut small soft" title={id}>
                  {id}
                </code>
              </>
            ),
          },
          { head: 'Weight', width: '6rem', end: true, cell: ({ weight }) => count(weight) },
          { head: 'Jobs at once', width: '8rem', end: true, cell: (team) => count(team.running_limit) },
          { head: 'Made', width: '8rem', cell: (team) => <Time at={team.created_at} /> },
          {
            head: <span class="visually-hidden">Actions</span>,
            width: '15rem',
            end: true,
            cell: (team) => (
              <span class="row end">
                <Button small kind="quiet" onClick={() => setEdited(team)}>
                  Change
                </Button>
                <Button small kind="quiet" onClick={() => setInvited(team)}>
                  Invite an admin
                </Button>
              </span>
            ),
          },
        ]}
      />
      {edited && <EditTeam of={edited} onClose={() => setEdited(null)} />}
      {invited && (
        <InvitationDialog
          title="Invite an admin"
          more={{ role: 'admin' as const }}
          run={(form) => graft.admin.teams.invite(invited.id, form)}
          touches={[]}
          onClose={() => setInvited(null)}
        >
          <p class="words">Of {invited.name}. It stands in the team’s audit log.</p>
        </InvitationDialog>
      )}
    </section>
  );
}

function EditTeam({ of: team, onClose }: { of: TeamObject | 'new'; onClose: () => void }) {
  const before = team === 'new' ? null : team;
  const [name, setName] = useState('');
  const [weight, setWeight] = useState(String(before?.weight ?? 1));
  const [limit, setLimit] = useState(String(before?.running_limit ?? 8));
  const save = useAction({
    run: (form: { weight: number; running_limit: number }) =>
      before
        ? graft.admin.teams.update(before.id, form)
        : graft.admin.teams.create({ name: name.trim(), ...form }),
    touches,
    quiet: true,
    said: (saved) =>
      before ? `${saved.name} is changed.` : `${saved.name} is made. Invite its first admin.`,
    onDone: onClose,
  });
  return (
    <FormDialog
      title={before ? 'Change the team' : 'Make a team'}
      action={before ? 'Save' : 'Make it'}
      busy={save.isPending}
      error={restOf(save.error, ['name', 'weight', 'running_limit'])}
      onSubmit={() => save.mutate({ weight: Number(weight), running_limit: Number(limit) })}
      onClose={onClose}
    >
      {before ? (
        <p class="words">{before.name}</p>
      ) : (
        <TextField
          label="Name"
          autofocus
          value={name}
          onValue={setName}
          error={faultOf(save.error, 'name')}
          hint="Small letters, digits and hyphens. It stands in the names of the team’s models."
        />
      )}
      <TextField
        label="Weight"
        inputMode="numeric"
        value={weight}
        onValue={setWeight}
        error={faultOf(save.error, 'weight')}
        hint="With 3 it has three turns where others have one."
      />
      <TextField
        label="Jobs at once"
        inputMode="numeric"
        value={limit}
        onValue={setLimit}
        error={faultOf(save.error, 'running_limit')}
      />
    </FormDialog>
  );
}
