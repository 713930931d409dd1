/** Downloaded bytes are not the bytes that the server vouched for. */
export class GraftDigestError extends Error {
  override readonly name = 'GraftDigestError';
}
