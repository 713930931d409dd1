import type { AcceptedInvitation } from '@graft/client';
import { useState } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { Problem } from '../../components/problem.tsx';
import { faultOf, restOf, useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { adviceOf } from './advice.ts';

/** Makes a new member, and a key for them, of whoever has the link. */
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
    run: (given: { email?: string; name?: string }) => graft.invitations.accept({ token, ...given }),
    touches: [],
    quiet: true,
    onDone: onJoined,
  });
  const { error } = join;
  const fault = faultOf(error, 'email');
  const more = adviceOf(error, 'link');
  const submit = (event: Event) => {
    event.preventDefault();
    if (join.isPending) return;
    const given = { ...(email.trim() && { email: email.trim() }), ...(name.trim() && { name: name.trim() }) };
    join.mutate(given, { onError });
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
        error={fault && (more ? `${fault} ${more}` : fault)}
        hint="By it the team knows you. An invitation that was made for an email takes that one alone."
      />
      <TextField
        label="Your name"
        name="name"
        autocomplete="name"
        value={name}
        onValue={setName}
        error={faultOf(error, 'name')}
        hint="What people call you. Without one it is what stands before the @."
      />
      {restOf(error, ['email', 'name']) != null && <Problem error={error} />}
      <Button kind="main" type="submit" busy={join.isPending}>
        Join
      </Button>
    </form>
  );
}
