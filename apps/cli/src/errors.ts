import { type Fault, faultText } from './draw/fault-text.ts';

/** The command failed; the message gives the reason and a fix. Exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** The command was used incorrectly. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The error message for the user, of one or several lines: what happened and how to fix it, without a stack. */
export const explainError = (error: unknown): { message: string; exitCode: 1 | 2 } =>
  error instanceof Error
    ? { message: messageOf(error), exitCode: error.name === 'UsageError' ? 2 : 1 }
    : { message: String(error), exitCode: 1 };

function messageOf(error: Error): string {
  // Compared by name, because loading the classes of the client or the trainer would slow down every start.
  switch (error.name) {
    case 'UsageError':
    case 'CommandError':
    // A download whose digest differs from the server's.
    case 'GraftDigestError':
      return error.message;
    case 'GraftApiError':
      return explainApiError(error as ApiError);
    case 'GraftConnectionError':
      return `${error.message} Start Graft with \`npm start\`, or point GRAFT_BASE_URL or --base-url at it.`;
    case 'GraftError':
      return withDetails(error);
    default:
      return explainSystemError(error);
  }
}

interface ApiError extends Error {
  status: number;
  code: string | null;
  requestId: string | null;
}

function explainApiError(error: ApiError): string {
  const message = sentence(error.message);
  if (error.status === 401) {
    return `${message} Set GRAFT_API_KEY, or save a key with \`graft login\`. Admins of your team create keys with \`graft team keys create\`, the operator with \`graft admin keys create\`.`;
  }
  if (error.code === 'model_not_found') return `${message} \`graft models list\` shows the available models.`;
  if (error.code === 'job_not_found') return `${message} \`graft jobs list\` shows your team's jobs.`;
  if (error.status >= 500 && error.requestId !== null) {
    return `${message} The server's log has the reason under request ${error.requestId}.`;
  }
  return message;
}

const MAX_DETAILS = 10;

/** Lists each distinct fault once, with the number of lines that have it, because training data may have many bad lines. */
function withDetails(error: Error & { details?: readonly Fault[] }): string {
  const details = error.details ?? [];
  if (details.length < 2) return sentence(error.message);
  const lines = details.slice(0, MAX_DETAILS).map((detail) => `  ${faultText(detail)}`);
  const more = details.length - lines.length;
  return [
    `${details.length} faults${'code' in error ? ` (${error.code})` : ''}:`,
    ...lines,
    ...(more > 0 ? [`  and ${more} more`] : []),
  ].join('\n');
}

function explainSystemError(error: NodeJS.ErrnoException): string {
  const path = error.path ?? '';
  switch (error.code) {
    case 'ENOENT':
      if (path !== '') return `No such file or folder: ${path}.`;
      break;
    case 'EACCES':
    case 'EPERM':
      if (path !== '') return `Permission denied: ${path}.`;
      break;
    case 'EEXIST':
    case 'ENOTDIR':
      if (path !== '') return `Expected a folder, but ${path} is a file.`;
      break;
    case 'EISDIR':
      return `Expected a file, but ${path === '' ? 'this' : path} is a folder.`;
    case 'ENOSPC':
      return 'The disk is full.';
  }
  if (process.argv.includes('--debug')) return sentence(error.message);
  return `${sentence(error.message)} Run the command again with --debug for details.`;
}

/** The text with a full stop, unless it ends in punctuation. */
export const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
