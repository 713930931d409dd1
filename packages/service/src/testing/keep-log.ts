import { type Logger, pino } from 'pino';

/** A log whose lines are kept, for tests of what people find in it. */
export function keepLog(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  return { log: pino({}, { write: (line) => void lines.push(JSON.parse(line)) }), lines };
}
