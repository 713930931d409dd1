/** No answer arrived: nobody listens there, the connection broke, or nothing moved for the whole timeout. */
export class GraftConnectionError extends Error {
  override readonly name = 'GraftConnectionError';
  readonly timedOut: boolean;

  constructor(message: string, options: { cause?: unknown; timedOut?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.timedOut = options.timedOut ?? false;
  }
}
