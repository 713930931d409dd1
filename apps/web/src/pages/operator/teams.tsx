import type { TeamObject } from '@graft/client';
import { useState } from 'preact/hooks';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { fieldError, otherError, useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { count } from '../../text/numbers.ts';
import { InvitationDialog } from '../team/invitation-dialog.tsx';

const invalidates = [['teams'], ['queue']];

/** All teams with their weights and limits. The operator cannot see team data. */
export function Teams() {
  const teams = usePages(['teams'], () => graft.admin.teams.list({ limit: 100 }));
  const [edited, setEdited] = useState<TeamObject | 'new' | null>(null);
  const [invited, setInvited] = useState<TeamObject | null>(null);
  return (
    <section class="panel">
      <div class="section-head">
        <p class="soft">Teams share the workers by weight, up to their limit of running jobs.</p>
        <Button icon="add" kind="main" onClick={() => setEdited('new')}>
          Create team
        </Button>
      </div>
      <Listing
        pages={teams}
        label="Teams"
        minWidth="50rem"
        empty={
          <Empty title="No teams yet">
            <p>A team owns files, jobs and adapters. Create one and invite its first admin.</p>
          </Empty>
        }
        columns={[
          {
            head: 'Team',
            isRowHeader: true,
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
          { head: 'Max running jobs', width: '9rem', end: true, cell: (team) => count(team.running_limit) },
          { head: 'Created', width: '8rem', cell: (team) => <Time at={team.created_at} /> },
          {
            head: <span class="visually-hidden">Actions</span>,
            width: '15rem',
            end: true,
            cell: (team) => (
              <span class="row end">
                <Button small kind="quiet" onClick={() => setEdited(team)}>
                  Edit
                </Button>
                <Button small kind="quiet" onClick={() => setInvited(team)}>
                  Invite admin
                </Button>
              </span>
            ),
          },
        ]}
      />
      {edited && <TeamForm team={edited} onClose={() => setEdited(null)} />}
      {invited && (
        <InvitationDialog
          title="Invite admin"
          extra={{ role: 'admin' as const }}
          run={(form) => graft.admin.teams.invite(invited.id, form)}
          invalidates={[]}
          onClose={() => setInvited(null)}
        >
          <p class="wrap-anywhere">
            To team {invited.name}. The invitation is recorded in the team’s audit log.
          </p>
        </InvitationDialog>
      )}
    </section>
  );
}

function TeamForm({ team, onClose }: { team: TeamObject | 'new'; onClose: () => void }) {
  const existing = team === 'new' ? null : team;
  const [name, setName] = useState('');
  const [weight, setWeight] = useState(String(existing?.weight ?? 1));
  const [limit, setLimit] = useState(String(existing?.running_limit ?? 8));
  const save = useAction({
    run: (form: { weight: number; running_limit: number }) =>
      existing
        ? graft.admin.teams.update(existing.id, form)
        : graft.admin.teams.create({ name: name.trim(), ...form }),
    invalidates,
    quiet: true,
    successMessage: (saved) =>
      existing ? `${saved.name} updated.` : `${saved.name} created. Invite its first admin.`,
    onDone: onClose,
  });
  return (
    <FormDialog
      title={existing ? 'Edit team' : 'Create team'}
      action={existing ? 'Save' : 'Create'}
      busy={save.isPending}
      error={otherError(save.error, ['name', 'weight', 'running_limit'])}
      onSubmit={() => save.mutate({ weight: Number(weight), running_limit: Number(limit) })}
      onClose={onClose}
    >
      {existing ? (
        <p class="wrap-anywhere">{existing.name}</p>
      ) : (
        <TextField
          label="Name"
          autofocus
          value={name}
          onValue={setName}
          error={fieldError(save.error, 'name')}
          hint="Lowercase letters, digits and hyphens. Part of the team’s model names."
        />
      )}
      <TextField
        label="Weight"
        inputMode="numeric"
        value={weight}
        onValue={setWeight}
        error={fieldError(save.error, 'weight')}
        hint="A team with weight 3 gets three turns for each turn of a team with weight 1."
      />
      <TextField
        label="Max running jobs"
        inputMode="numeric"
        value={limit}
        onValue={setLimit}
        error={fieldError(save.error, 'running_limit')}
      />
    </FormDialog>
  );
}
