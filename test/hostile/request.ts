import { request as httpRequest } from 'node:http';

export interface HostileRequest {
  name: string;
  method: string;
  /** Starts with `/v1`. */
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array<ArrayBuffer> | null;
  /** Prefix of the expected `param`, where one field is invalid. */
  field: string | null;
}

/** Resources that exist for the team that sends the requests. */
export interface HostileContext {
  model: string;
  fileId: string;
  jobId: string;
}

/** Sends a request unchanged; fetch would reject or correct some of them. `base`: `http://host:port`. */
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
    // After its answer, the server may close the connection before it has read the whole body.
    sent.on('error', (error) => answered || reject(error));
    sent.end(body ?? '');
  });
}
