import { GraftError } from '@graft/peft-core/config';
import { createJsonlChecker, type JsonlChecker } from '@graft/peft-core/examples';
import { LineRanges, messageOfLines } from './line-ranges.ts';

/** peft-core's checker with an error that describes the first hundred bad lines and numbers all others. */
export function createLineChecker(): JsonlChecker {
  const bad = new LineRanges();
  const checker = createJsonlChecker(undefined, (line) => bad.add(line));
  return {
    write: checker.write,
    end: () => {
      try {
        return checker.end();
      } catch (error) {
        if (!(error instanceof GraftError)) throw error;
        const { code, details } = error;
        const message = details ? messageOfLines(details, bad) : error.message;
        throw new GraftError(code, message, { param: 'file', cause: error, ...(details && { details }) });
      }
    },
  };
}
