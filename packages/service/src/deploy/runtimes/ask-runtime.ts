import { type Egress, EgressError, requestPinned } from '../../egress/post-pinned.ts';
import { type AskRuntime, type ListedAdapter, type RuntimeAnswer, RuntimeFault } from './runtime.ts';

/** Maximum bytes of an answer: a list of a thousand adapters has about 400 KB. */
const maxBytes = 1024 * 1024;
const bodyMs = 10_000;

/** Returns the function that sends requests to a runtime, with its API key. It throws RuntimeFault `away` and, for a wrong key, `refused`. */
export function createAskRuntime(
  { url, apiKey }: { url: string; apiKey: string | null },
  egress: Egress & { listMs: number },
  signal: AbortSignal,
): AskRuntime {
  return async (method, path, body) => {
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': 'Graft/1' };
    if (apiKey !== null) headers.authorization = `Bearer ${apiKey}`;
    if (body) headers['content-type'] = 'application/json';
    const limits = method === 'GET' ? { ...egress, wholeMs: egress.listMs } : egress;
    const message = { method, headers, body: body ? JSON.stringify(body) : '' };
    try {
      const answer = await requestPinned(new URL(url + path), message, limits, { maxBytes, bodyMs, signal });
      if (!answer.isWhole) throw new RuntimeFault('away', 'Its answer broke off, or was too long.');
      const parsed = parse(answer.body);
      checkReached(path, answer.status);
      return { status: answer.status, body: parsed, message: messageOf(parsed) };
    } catch (error) {
      if (error instanceof RuntimeFault) throw error;
      const message = error instanceof EgressError ? error.message : 'Sending failed.';
      throw new RuntimeFault('away', message, { cause: error });
    }
  };
}

/** Throws for statuses that mean the same at every path of every runtime. */
function checkReached(path: string, status: number): void {
  if (status === 401 || status === 403)
    throw new RuntimeFault(
      'refused',
      `It answered ${status} to ${path}: give the API key that it was started with as api_key.`,
    );
  if (status >= 300 && status < 400)
    throw new RuntimeFault('refused', `It answered ${status} to ${path}: redirects are not followed.`);
  if ([408, 425, 429, 502, 503, 504].includes(status))
    throw new RuntimeFault('away', `It answered ${status} to ${path}.`);
}

/** Reads the answer to `GET /v1/models`, whose `root` is the path of an adapter. Both runtimes list adapters so. */
export async function listModels(ask: AskRuntime, title: string): Promise<ListedAdapter[]> {
  const { status, body } = await ask('GET', '/v1/models');
  const data = (body as { data?: unknown } | null)?.data;
  if (status !== 200 || !Array.isArray(data))
    throw new RuntimeFault(
      status >= 500 ? 'away' : 'refused',
      `It answered ${status} to /v1/models${status === 200 ? ', but with no list of models' : ''}: give the address of a ${title} server, without /v1.`,
    );
  return data.flatMap((each: unknown) => {
    const { id, root } = (each ?? {}) as { id?: unknown; root?: unknown };
    return typeof id === 'string' ? [{ name: id, path: typeof root === 'string' ? root : null }] : [];
  });
}

/** A rule for answers: if the message matches, the remedy to show, or null if what was asked is done already. */
export type KnownAnswer = [RegExp, string | null];

/** Returns for a success or a message that means the same; throws RuntimeFault otherwise. */
export function checkAnswer(path: string, answer: RuntimeAnswer, known: readonly KnownAnswer[]): void {
  const { status, message } = answer;
  if (status >= 200 && status < 300) return;
  const rule = known.find(([pattern]) => pattern.test(message));
  if (rule?.[1] === null) return;
  if (rule) throw new RuntimeFault('refused', rule[1]);
  throw new RuntimeFault(
    status >= 500 ? 'away' : 'refused',
    `It answered ${status} to ${path}: its log says why.`,
  );
}

/** vLLM: `{error: {message}}`, before 0.11 `{message}`; of the web framework: `{detail}`. SGLang: `{error_message}`. */
function messageOf(body: unknown): string {
  const { error, message, detail, error_message } = (body ?? {}) as Record<string, unknown>;
  const inner = (error as { message?: unknown } | null | undefined)?.message;
  const text = [inner, message, error_message, detail].find((each) => typeof each === 'string');
  return (text as string | undefined)?.slice(0, 2000) ?? '';
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) ?? null;
  } catch {
    return null;
  }
}
