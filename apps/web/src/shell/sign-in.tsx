import type { Wire } from '@graft/client';
import { useEffect } from 'preact/hooks';
import { Brand } from '../components/brand.tsx';
import { Button } from '../components/forms/button.tsx';
import { TextField } from '../components/forms/field.tsx';
import { Form, useForm } from '../components/forms/form.tsx';
import { describeError } from '../components/problem.tsx';
import { graft } from '../data/graft.ts';
import { sessionKey } from '../data/session.ts';

/** Sign-in with the identity provider or an API key. The key is exchanged for an HttpOnly cookie and not stored. */
export function SignIn({ options }: { options: Wire.SignInOptions }) {
  useEffect(() => {
    document.title = 'Sign in · Graft';
  }, []);
  const params = new URLSearchParams({ return_to: `${location.pathname}${location.search}` });
  // Operator pages need a recent sign-in.
  if (location.pathname.startsWith('/operator')) params.set('reauthenticate', 'true');
  return (
    <main class="standalone stack">
      <Brand />
      <h1>Sign in</h1>
      {options.provider && (
        <a class="button" data-kind="main" href={`/v1/sign-in?${params}`}>
          Continue with SSO
        </a>
      )}
      {options.key && <KeyForm isOnlyMethod={!options.provider} />}
    </main>
  );
}

function KeyForm({ isOnlyMethod }: { isOnlyMethod: boolean }) {
  const { values, set, errorAt, error, isPending, submit } = useForm({
    initial: { key: '' },
    check: ({ key }) =>
      /^graft_\w+_\w+$/.test(key.trim())
        ? {}
        : { key: 'An API key looks like graft_…_…. Paste the whole key.' },
    run: ({ key }) => graft.sessions.begin(key.trim()),
    invalidates: [sessionKey],
  });
  return (
    <Form form={{ submit, isPending, otherError: () => null }}>
      <TextField
        label="API key"
        type="password"
        name="key"
        autocomplete="current-password"
        spellcheck={false}
        value={values.key}
        error={errorAt('key') ?? (error && describeError(error).text)}
        onValue={(key) => set({ key })}
        hint={
          isOnlyMethod ? (
            <>
              Graft printed the first key when it started. Create more with{' '}
              <code>graft team keys create</code>.
            </>
          ) : (
            'A team API key, for when SSO is unavailable.'
          )
        }
      />
      <Button kind={isOnlyMethod ? 'main' : 'plain'} type="submit" busy={isPending}>
        Sign in
      </Button>
      <p class="small soft">
        The key is exchanged for a browser session with the same permissions. It is not stored.
      </p>
    </Form>
  );
}
