import { GraftApiError } from '@graft/client';
import { type QueryKey, useMutation, useQueryClient } from '@tanstack/preact-query';
import { toast, toastError } from '../components/toast.tsx';

/**
 * Something that is done by the API: what it `touches` is read anew, then it is said (`said`), by a toast. `quiet`: whoever
 * calls shows its error, as a form does.
 */
export function useAction<Given, Answer>({
  run,
  touches,
  said,
  quiet = false,
  onDone,
}: {
  run: (given: Given) => Promise<Answer>;
  touches: readonly QueryKey[];
  said?: (answer: Answer, given: Given) => string;
  quiet?: boolean;
  onDone?: (answer: Answer, given: Given) => void;
}) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: run,
    onSuccess: (answer, given) => {
      if (said) toast(said(answer, given));
      onDone?.(answer, given);
      return Promise.all(touches.map((queryKey) => cache.invalidateQueries({ queryKey })));
    },
    ...(quiet ? {} : { onError: toastError }),
  });
}

/** What the API says is wrong with one field of a form. */
export const faultOf = (error: unknown, param: string): string | null =>
  error instanceof GraftApiError && error.param === param ? error.message : null;

/** An error that no field of the form shows. */
export const restOf = (error: unknown, shown: readonly string[]): unknown =>
  error instanceof GraftApiError && error.param !== null && shown.includes(error.param) ? null : error;
