import { GraftApiError, GraftConnectionError } from '@graft/client';
import { Button } from './forms/button.tsx';

/** Operator requests need a recent sign-in; this one was too long ago. */
export const needsSignIn = (error: unknown): boolean =>
  error instanceof GraftApiError && error.code === 'reauthentication_required';

interface ErrorDescription {
  title: string;
  text: string;
  requestId: string | null;
}

/** Title and text for an error. Messages of the API say what to do. */
export function describeError(error: unknown): ErrorDescription {
  if (error instanceof GraftApiError) {
    const { status, message, requestId } = error;
    if (needsSignIn(error)) {
      const text = 'Operator pages need a recent sign-in. You will return to this page.';
      return { title: 'Sign in again', text, requestId: null };
    }
    if (status === 404) return { title: 'Not found', text: message, requestId };
    if (status === 403) return { title: 'Not allowed', text: message, requestId };
    if (status >= 500) return { title: 'Server error', text: message, requestId };
    return { title: 'Request failed', text: message, requestId };
  }
  // A page's code that fails to load throws an error of another type.
  if (error instanceof GraftConnectionError || globalThis.navigator?.onLine === false) {
    const text = 'The server does not respond. The page may be out of date; retry when you are ready.';
    return { title: 'No connection', text, requestId: null };
  }
  const text = error instanceof Error ? error.message : String(error);
  return { title: 'Unexpected error', text, requestId: null };
}

export function Problem({
  error,
  onRetry,
  retry = 'Try again',
}: {
  error: unknown;
  onRetry?: () => unknown;
  /** Label of the retry button. */
  retry?: string;
}) {
  const { title, text, requestId } = describeError(error);
  return (
    <div class="problem tight" role="alert">
      <h2>{title}</h2>
      <p>{text}</p>
      {requestId && (
        <p class="small soft">
          Request ID: <code>{requestId}</code>. The operator can find it in the logs.
        </p>
      )}
      {needsSignIn(error) && (
        <a class="button" data-kind="main" href={reauthenticationUrl()}>
          Sign in again
        </a>
      )}
      {onRetry && !needsSignIn(error) && (
        <Button icon="refresh" onClick={onRetry}>
          {retry}
        </Button>
      )}
    </div>
  );
}

function reauthenticationUrl(): string {
  const params = { reauthenticate: 'true', return_to: `${location.pathname}${location.search}` };
  return `/v1/sign-in?${new URLSearchParams(params)}`;
}
