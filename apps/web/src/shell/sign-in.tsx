import type { Wire } from '@graft/client';
import { useMutation, useQueryClient } from '@tanstack/preact-query';
import { useEffect, useState } from 'preact/hooks';
import '../styles/pages/sign-in.css';
import { Brand } from '../components/brand.tsx';
import { Button } from '../components/forms/button.tsx';
import { TextField } from '../components/forms/field.tsx';
import { wordsOf } from '../components/problem.tsx';
import { graft } from '../data/graft.ts';
import { sessionKey } from '../data/session.ts';

/** The way in: at the provider, or by a key. The key is exchanged for a cookie that no script can read, and kept nowhere. */
export function SignIn({ options }: { options: Wire.SignInOptions }) {
  useEffect(() => {
    document.title = 'Sign in · Graft';
  }, []);
  const back = new URLSearchParams({ return_to: `${location.pathname}${location.search}` });
  // An operator would be asked for it as soon as they are back.
  if (location.pathname.startsWith('/operator')) back.set('reauthenticate', 'true');
  return (
    <main class="alone">
      <Brand />
      <h1>Sign in</h1>
      {options.provider && (
        <a class="button" data-kind="main" href={`/v1/sign-in?${back}`}>
          Continue with your organisation
        </a>
      )}
      {options.key && <ByKey isAlone={!options.provider} />}
    </main>
  );
}

function ByKey({ isAlone }: { isAlone: boolean }) {
  const cache = useQueryClient();
  const [key, setKey] = useState('');
  const [fault, setFault] = useState<string | null>(null);
  const begin = useMutation({
    mutationFn: (given: string) => graft.sessions.begin(given),
    onSuccess: async () => {
      setKey('');
      await cache.invalidateQueries({ queryKey: sessionKey });
    },
    onError: (error) => setFault(wordsOf(error).text),
  });
  const submit = (event: Event) => {
    event.preventDefault();
    const given = key.trim();
    if (/^graft_\w+_\w+$/.test(given)) begin.mutate(given);
    else setFault('A key looks like graft_…_…: paste the whole of it.');
  };
  return (
    <form class="stack" onSubmit={submit} noValidate>
      <TextField
        label="API key"
        type="password"
        name="key"
        autocomplete="current-password"
        spellcheck={false}
        value={key}
        error={fault}
        onValue={(value) => {
          setKey(value);
          setFault(null);
        }}
        hint={
          isAlone ? (
            <>
              Graft printed the first one when it started. Others are made with{' '}
              <code>graft team keys create</code>.
            </>
          ) : (
            'Of a team, for when the provider is away.'
          )
        }
      />
      <Button kind={isAlone ? 'main' : 'plain'} type="submit" busy={begin.isPending}>
        Sign in
      </Button>
      <p class="small soft">
        The key is exchanged for a session of this browser, with the same rights; it is not kept.
      </p>
    </form>
  );
}
