import { GraftError } from '@graft/peft-core/config';
import { createJsonlChecker, type JsonlChecker } from '@graft/peft-core/text';
import { LineRanges } from './line-ranges.ts';
import { messageOfLines } from './message-of-lines.ts';

const newline = 0x0a;
/** Bytes up to a space leave a line blank. */
const space = 0x20;

/**
 * peft-core's checker, which says what is wrong with the first hundred bad lines, with the numbers of all others: a line
 * that is not blank and gave no example is bad. Throws as it does, every line in the message.
 */
export function createUploadChecker(): JsonlChecker {
  const bad = new LineRanges();
  let line = 1;
  let blank = true;
  let gaveExample = false;
  const checker = createJsonlChecker(() => {
    gaveExample = true;
  });

  function take(part: Uint8Array): void {
    checker.write(part);
    blank &&= part.every((byte) => byte <= space);
  }

  function endLine(): void {
    if (!blank && !gaveExample) bad.add(line);
    line++;
    blank = true;
    gaveExample = false;
  }

  return {
    write: (chunk) => {
      let start = 0;
      for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
        take(chunk.subarray(start, end + 1));
        endLine();
        start = end + 1;
      }
      take(chunk.subarray(start));
    },
    end: () => {
      try {
        return checker.end();
      } catch (error) {
        if (!(error instanceof GraftError)) throw error;
        // The last line may have no end.
        endLine();
        const message = error.details ? messageOfLines(error.details, bad) : error.message;
        throw new GraftError(error.code, message, { param: 'file', cause: error });
      }
    },
  };
}
