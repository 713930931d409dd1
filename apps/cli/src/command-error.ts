/** The command cannot do what was asked, and the message says why and what to do: exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
