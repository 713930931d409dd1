import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  headers: IncomingHttpHeaders & Record<string, string>;
  body: string;
  // biome-ignore lint/suspicious/noExplicitAny: what arrives is what is tested
  event: any;
  /** The status of the answer; null if `answer` sent it. */
  status: number | null;
}

export interface Receiver {
  url: string;
  port: number;
  requests: Received[];
  /** How it answers: with a status, or by a function. */
  answer: number | ((request: Received, response: ServerResponse) => void);
  /** Waits until it has received this many requests. */
  until(count: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts a real HTTP server that stores the requests that it receives. */
export async function openReceiver(answer: Receiver['answer'] = 200): Promise<Receiver> {
  const waiting = new Set<() => void>();
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const received: Received = {
      headers: request.headers as Received['headers'],
      body,
      event: body.startsWith('{') ? JSON.parse(body) : null,
      status: null,
    };
    receiver.requests.push(received);
    if (typeof receiver.answer === 'number') {
      received.status = receiver.answer;
      response.writeHead(receiver.answer).end('ok');
    } else {
      receiver.answer(received, response);
    }
    for (const look of waiting) look();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    requests: [],
    answer,
    until: async (count) => {
      const { requests } = receiver;
      if (requests.length >= count) return;
      await new Promise<void>((resolve, reject) => {
        const late = setTimeout(
          () => reject(new Error(`waited in vain for ${count} requests; came ${requests.length}`)),
          60_000,
        );
        const look = () => {
          if (requests.length < count) return;
          clearTimeout(late);
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
      });
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
