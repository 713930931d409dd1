import type { Socket } from 'node:net';
import { errorBody } from '../api-error.ts';
import { type ErrorCode, errorCodes } from '../error-codes.ts';
import { newRequestId } from './request-log.ts';

const answers: Record<string, [status: string, code: ErrorCode]> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'request_timeout'],
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'headers_too_large'],
};

/** Responds to bytes that Node cannot parse as HTTP. No request object exists, so the response is written directly to the socket. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const known = answers[error.code ?? ''];
  const [status, code] = known ?? ['400 Bad Request', 'bad_request'];
  const message = known ? errorCodes[known[1]][1] : 'The request is not valid HTTP.';
  const body = JSON.stringify(errorBody(Number.parseInt(status, 10), code, message, null));
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `x-request-id: ${newRequestId()}\r\nConnection: close\r\n\r\n${body}`,
  );
}
