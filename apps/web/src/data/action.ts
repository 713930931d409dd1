import { GraftApiError } from '@graft/client';
import { type QueryKey, useMutation, useQueryClient } from '@tanstack/preact-query';
import { toast, toastError } from '../components/toast.tsx';

/**
 * A change made by the API. Then the queries in `invalidates` are refetched and a toast shows `successMessage`. `quiet`: errors get no
 * toast, because the caller shows them, as forms do.
 */
export function useAction<Input, Result>({
  run,
  invalidates,
  successMessage,
  quiet = false,
  onDone,
}: {
  run: (input: Input) => Promise<Result>;
  invalidates: readonly QueryKey[];
  successMessage?: (result: Result, input: Input) => string;
  quiet?: boolean;
  onDone?: (result: Result, input: Input) => void;
}) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: run,
    onSuccess: (result, input) => {
      if (successMessage) toast(successMessage(result, input));
      onDone?.(result, input);
      return Promise.all(invalidates.map((queryKey) => cache.invalidateQueries({ queryKey })));
    },
    ...(quiet ? {} : { onError: toastError }),
  });
}

/** The API's error about one field of a form. */
export const fieldError = (error: unknown, param: string): string | null =>
  error instanceof GraftApiError && error.param === param ? error.message : null;

/** An error that none of the form's fields shows. */
export const otherError = (error: unknown, shown: readonly string[]): unknown =>
  error instanceof GraftApiError && error.param !== null && shown.includes(error.param) ? null : error;
