import { request as httpRequest } from 'node:http';

export interface HostileRequest {
  name: string;
  method: string;
  /** From `/v1` on. */
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array<ArrayBuffer> | null;
  /** What `param` must begin with, where the fault lies in one field. */
  field: string | null;
}

/** What exists for the team that sends the corpus. */
export interface HostileContext {
  model: string;
  fileId: string;
  jobId: string;
}

/** Sends a request as it is: fetch would refuse or mend some. `base`: `http://host:port`. */
export async function sendHostile(
  base: string,
  key: string,
  { method, path, headers, body }: HostileRequest,
): Promise<{ status: number; text: string }> {
  const { hostname, port } = new URL(base);
  return await new Promise((resolve, reject) => {
    const sent = httpRequest({
      hostname,
      port,
      method,
      path,
      headers: {
        authorization: `Bearer ${key}`,
        ...headers,
        'content-length': Buffer.byteLength(body ?? ''),
      },
    });
    let answered = false;
    sent.on('response', (response) => {
      answered = true;
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    // A server that has answered may hang up before it has read all.
    sent.on('error', (error) => answered || reject(error));
    sent.end(body ?? '');
  });
}
