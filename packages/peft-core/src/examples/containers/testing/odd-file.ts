/** A file that people upload by mistake, or to do harm, and the one sentence that they get. */
export type OddFile = [name: string, content: Buffer, code: string, message: RegExp];

export const bytes = (...parts: (string | number[] | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));
export const line = '{"prompt":"a","completion":"b"}';
export const lines = (count: number) => `${line}\n`.repeat(count);
