import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';

/** Whether this process made the request itself, to answer another one. It came over no connection. */
export function isPart(request: IncomingMessage): boolean {
  return !(request.socket instanceof Socket);
}
