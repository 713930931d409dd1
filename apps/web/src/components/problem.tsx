import { GraftApiError, GraftConnectionError } from '@graft/client';

import '../styles/components/problem.css';
import { Button } from './forms/button.tsx';

/** Of an operator, whose last proof of who they are is too old. */
export const asksToSignIn = (error: unknown): boolean =>
  error instanceof GraftApiError && error.code === 'reauthentication_required';

interface Words {
  title: string;
  text: string;
  requestId: string | null;
}

/** What went wrong, in the words of the API, which say what to do. */
export function wordsOf(error: unknown): Words {
  if (error instanceof GraftApiError) {
    const { status, message, requestId } = error;
    if (asksToSignIn(error)) {
      const text =
        'To operate the service, sign in again: every hour or so, and after a pause. You come back to this page.';
      return { title: 'Sign in again', text, requestId: null };
    }
    if (status === 404) return { title: 'Not found', text: message, requestId };
    if (status === 403) return { title: 'Not allowed', text: message, requestId };
    if (status >= 500) return { title: 'The server failed', text: message, requestId };
    return { title: 'That did not work', text: message, requestId };
  }
  // The code of a page that cannot be fetched fails otherwise than a request of the client.
  if (error instanceof GraftConnectionError || globalThis.navigator?.onLine === false) {
    const text = 'The server does not answer. What you see may be old; it is tried again as soon as you ask.';
    return { title: 'No connection', text, requestId: null };
  }
  const text = error instanceof Error ? error.message : String(error);
  return { title: 'Something is wrong with this page', text, requestId: null };
}

/** An error where the thing should be that it is of. */
export function Problem({
  error,
  onRetry,
  retry = 'Try again',
}: {
  error: unknown;
  onRetry?: () => unknown;
  /** What the button says. */
  retry?: string;
}) {
  const { title, text, requestId } = wordsOf(error);
  return (
    <div class="problem" role="alert">
      <h2>{title}</h2>
      <p>{text}</p>
      {requestId && (
        <p class="small soft">
          Request <code>{requestId}</code>: whoever runs Graft finds it in the log by this.
        </p>
      )}
      {asksToSignIn(error) && (
        <a class="button" data-kind="main" href={signInAgain()}>
          Sign in again
        </a>
      )}
      {onRetry && !asksToSignIn(error) && (
        <Button icon="refresh" onClick={onRetry}>
          {retry}
        </Button>
      )}
    </div>
  );
}

function signInAgain(): string {
  const back = { reauthenticate: 'true', return_to: `${location.pathname}${location.search}` };
  return `/v1/sign-in?${new URLSearchParams(back)}`;
}
