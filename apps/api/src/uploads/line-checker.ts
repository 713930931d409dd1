import { GraftError } from '@graft/peft-core/config';
import { createJsonlChecker, type JsonlChecker } from '@graft/peft-core/examples';

/** peft-core's checker, whose errors name the request's `file`. */
export function createLineChecker(): JsonlChecker {
  const checker = createJsonlChecker();
  return {
    write: checker.write,
    end: () => {
      try {
        return checker.end();
      } catch (error) {
        if (!(error instanceof GraftError)) throw error;
        const { code, message, details } = error;
        throw new GraftError(code, message, { param: 'file', cause: error, ...(details && { details }) });
      }
    },
  };
}
