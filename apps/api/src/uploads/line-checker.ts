import { GraftError, type OnBadLines } from '@graft/peft-core/config';
import { type ColumnMapping, createDataFileChecker, type DataFileChecker } from '@graft/peft-core/examples';

/** peft-core's checker, whose errors name the request's `file`, unless they are about its `columns`. */
export function createLineChecker(
  columns: ColumnMapping | null = null,
  onBadLines: OnBadLines = 'fail',
): DataFileChecker {
  const checker = createDataFileChecker({}, columns, onBadLines);
  const naming = async <T>(body: () => Promise<T>): Promise<T> => {
    try {
      return await body();
    } catch (error) {
      throw error instanceof GraftError ? fileError(error) : error;
    }
  };
  return {
    ...checker,
    write: async (chunk) => await naming(() => checker.write(chunk)),
    finish: async () => await naming(() => checker.finish()),
    end: async () => await naming(() => checker.end()),
  };
}

/** The error of a file as that of the request's parameter. */
export function fileError(error: GraftError): GraftError {
  const { code, message, param, details } = error;
  return new GraftError(code, message, { param: param ?? 'file', cause: error, ...(details && { details }) });
}
