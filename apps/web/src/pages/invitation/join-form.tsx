import type { AcceptedInvitation } from '@graft/client';
import { Button } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { Form, useForm } from '../../components/forms/form.tsx';
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
  const { field, error, ...form } = useForm({
    initial: { email: '', name: '' },
    run: (values) => {
      const [email, name] = [values.email.trim(), values.name.trim()];
      return graft.invitations.accept({ token, ...(email && { email }), ...(name && { name }) });
    },
    onDone: onJoined,
    onError,
  });
  const email = field('email');
  const advice = email.error && adviceFor(error, 'link');
  return (
    <Form
      form={form}
      footer={
        <Button kind="main" type="submit" busy={form.isPending}>
          Join
        </Button>
      }
    >
      <TextField
        label="Your email"
        type="email"
        name="email"
        autocomplete="email"
        hint="Identifies you in the team. Must match the invited email, if there is one."
        {...email}
        error={advice ? `${email.error} ${advice}` : email.error}
      />
      <TextField
        label="Your name"
        name="name"
        autocomplete="name"
        hint="Display name. Defaults to the part of the email before the @."
        {...field('name')}
      />
    </Form>
  );
}
