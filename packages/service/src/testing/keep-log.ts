import { type Logger, pino } from 'pino';

/** Creates a logger that collects its lines, for tests of log output. */
export function keepLog(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  return { log: pino({}, { write: (line) => void lines.push(JSON.parse(line)) }), lines };
}
