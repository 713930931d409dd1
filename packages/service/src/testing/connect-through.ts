import { connect, type Socket } from 'node:net';

/**
 * Opens a proxy's connection to the server at `target` for a client at `near`; when either closes, so does the other. Both are in `open`
 * while they live. The caller forwards the data.
 */
export function connectThrough(near: Socket, target: URL, open: Set<Socket>): Socket {
  const far = connect(Number(target.port), target.hostname);
  for (const [socket, other] of [
    [near, far],
    [far, near],
  ] as const) {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      open.delete(socket);
      other.destroy();
    });
  }
  return far;
}
