import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';

/** Checks whether this process itself made the request, without a connection, to respond to another request. */
export function isPart(request: IncomingMessage): boolean {
  return !(request.socket instanceof Socket);
}
