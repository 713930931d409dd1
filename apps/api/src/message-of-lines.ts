import type { GraftError } from '@graft/peft-core/config';
import { MAX_LISTED_LINES } from '@graft/peft-core/text';

/** The message of an error about lines of a file, with every line that the error lists. */
export function messageOfLines(error: GraftError): string {
  const lines = (error.details ?? []).filter(({ line }) => line !== undefined);
  if (lines.length === 0) return error.message;
  const listed = lines.map(({ line, message }) => `line ${line} ${message}`).join('; ');
  return lines.length < MAX_LISTED_LINES ? listed : `${listed} (the first ${MAX_LISTED_LINES} bad lines)`;
}
