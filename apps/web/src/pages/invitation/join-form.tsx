import type { AcceptedInvitation } from '@graft/client';
import { useState } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { Problem } from '../../components/problem.tsx';
import { fieldError, otherError, useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { adviceFor } from './advice.ts';

/** Joins a team as a new member with a new API key. The link is enough. */
export function JoinForm({
  token,
  onJoined,
  onError,
}: {
  token: string;
  onJoined: (joined: AcceptedInvitation) => void;
  onError: (error: unknown) => void;
}) {
  const [email, setEmail] = useState('');
  const [name, setName] = useState('');
  const join = useAction({
    run: (form: { email?: string; name?: string }) => graft.invitations.accept({ token, ...form }),
    invalidates: [],
    quiet: true,
    onDone: onJoined,
  });
  const { error } = join;
  const emailError = fieldError(error, 'email');
  const advice = adviceFor(error, 'link');
  const submit = (event: Event) => {
    event.preventDefault();
    if (join.isPending) return;
    const form = { ...(email.trim() && { email: email.trim() }), ...(name.trim() && { name: name.trim() }) };
    join.mutate(form, { onError });
  };
  return (
    <form class="stack" onSubmit={submit} noValidate>
      <TextField
        label="Your email"
        type="email"
        name="email"
        autocomplete="email"
        value={email}
        onValue={setEmail}
        error={emailError && (advice ? `${emailError} ${advice}` : emailError)}
        hint="Identifies you in the team. Must match the invited email, if there is one."
      />
      <TextField
        label="Your name"
        name="name"
        autocomplete="name"
        value={name}
        onValue={setName}
        error={fieldError(error, 'name')}
        hint="Display name. Defaults to the part of the email before the @."
      />
      {otherError(error, ['email', 'name']) != null && <Problem error={error} />}
      <Button kind="main" type="submit" busy={join.isPending}>
        Join
      </Button>
    </form>
  );
}
