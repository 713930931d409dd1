import type { TeamObject } from '@graft/client';
import { NameAndId } from '../../components/cut.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { DialogButton, FormDialog, useForm } from '../../components/forms/form.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { count } from '../../text/numbers.ts';
import { InvitationDialog } from '../team/invitation-dialog.tsx';

/** All teams with their weights and limits. The operator cannot see team data. */
export function Teams() {
  const teams = usePages(['teams'], () => graft.admin.teams.list({ limit: 100 }));
  return (
    <section class="panel">
      <div class="section-head">
        <p class="soft">Teams share the workers by weight, up to their limit of running jobs.</p>
        <DialogButton icon="add" kind="main" dialog={<TeamForm />}>
          Create team
        </DialogButton>
      </div>
      <Listing
        pages={teams}
        label="Teams"
        minWidth="50rem"
        emptyTitle="No teams yet"
        emptyText="A team owns files, jobs and adapters. Create one and invite its first admin."
        columns={[
          { head: 'Team', cell: (team) => <NameAndId {...team} /> },
          { head: 'Weight', width: '6rem', end: true, cell: ({ weight }) => count(weight) },
          { head: 'Max running jobs', width: '9rem', end: true, cell: (team) => count(team.running_limit) },
          { head: 'Created', width: '8rem', cell: (team) => <Time at={team.created_at} /> },
          {
            width: '15rem',
            actions: (team) => [
              { text: 'Edit', dialog: <TeamForm existing={team} /> },
              { text: 'Invite admin', dialog: <InvitationDialog team={team} /> },
            ],
          },
        ]}
      />
    </section>
  );
}

function TeamForm({ existing }: { existing?: TeamObject }) {
  const { weight = 1, running_limit = 8 } = existing ?? {};
  const form = useForm({
    initial: { name: '', weight: String(weight), running_limit: String(running_limit) },
    run: (values) => {
      const limits = { weight: Number(values.weight), running_limit: Number(values.running_limit) };
      return existing
        ? graft.admin.teams.update(existing.id, limits)
        : graft.admin.teams.create({ name: values.name.trim(), ...limits });
    },
    invalidates: [['teams'], ['queue']],
    successMessage: ({ name }) =>
      existing ? `${name} updated.` : `${name} created. Invite its first admin.`,
  });
  return (
    <FormDialog
      title={existing ? 'Edit team' : 'Create team'}
      action={existing ? 'Save' : 'Create'}
      form={form}
    >
      {existing ? (
        <p class="wrap-anywhere">{existing.name}</p>
      ) : (
        <TextField
          label="Name"
          autofocus
          hint="Lowercase letters, digits and hyphens. Part of the team’s model names."
          {...form.field('name')}
        />
      )}
      <TextField
        label="Weight"
        inputMode="numeric"
        hint="A team with weight 3 gets three turns for each turn of a team with weight 1."
        {...form.field('weight')}
      />
      <TextField label="Max running jobs" inputMode="numeric" {...form.field('running_limit')} />
    </FormDialog>
  );
}
