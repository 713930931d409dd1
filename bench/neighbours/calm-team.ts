import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Asked, createJob, uploadFile } from '../running-api.ts';
import { type Team, template, trained } from './team.ts';

/** Times that the calm team waits, each measured by one client that asks again after a pause. */
export const measures = [
  'start of a job',
  'request',
  'first token',
  'first token, own template',
  'first token, long prompt',
  'structured answer',
] as const;
export type Measure = (typeof measures)[number];

/** Milliseconds of each wait that ended well, and what failed. */
export interface Waits {
  took: Record<Measure, number[]>;
  failures: string[];
}

export interface CalmTeam {
  /** Repeats its work until `isOver` returns true; every client has been answered, then. */
  work(isOver: () => boolean): Promise<Waits>;
}

const lines = `${JSON.stringify({ prompt: 'The bike is', completion: ' red.' })}\n`.repeat(20);
/** 4,800 characters, which a thread tokenises: more tokens than the tiny model reads, whose tokens are bytes, and 1,200 of a real one. */
const long = ' red'.repeat(1_200);
const isTooLong = (status: number, text: string) =>
  status === 400 && JSON.parse(text).error.code === 'context_length_exceeded';
const jobs = '/v1/fine_tuning/jobs';

/** A team whose jobs, requests and answers are small. `patience`: seconds after which an answer counts as missing. */
export async function openCalmTeam(team: Team, patience: number): Promise<CalmTeam> {
  const { api, key } = team;
  const file = await uploadFile(api, key, lines);
  const own = await trained(team, 'own', template());
  let asked = 0;

  const ask = async (
    request: Asked,
    isRight = (answer: Answer) => answer.status === 200,
  ): Promise<Answer> => {
    const answer = await api.ask({ key, signal: AbortSignal.timeout(1000 * patience), ...request });
    if (!isRight(answer)) throw new Error(`${request.path}: ${answer.status} ${answer.text.slice(0, 300)}`);
    return answer;
  };
  const chat = async (content: string, options: object = {}): Promise<Answer> => {
    const messages = [{ role: 'user', content }];
    const body = { model: 'tiny', messages, max_tokens: 4, temperature: 0, stream: true, ...options };
    const isRight = ({ status, text }: Answer) =>
      status === 200 || (content.startsWith(long) && isTooLong(status, text));
    const answer = await ask({ method: 'POST', path: '/v1/chat/completions', body }, isRight);
    if (/^data: \{"error"/m.test(answer.text)) throw new Error(answer.text.slice(0, 300));
    return answer;
  };
  const schema = { type: 'object', properties: { isRed: { type: 'boolean' } }, required: ['isRed'] };
  const json_schema = { name: 'bike', schema: { ...schema, additionalProperties: false }, strict: true };

  /** Waits until a new job has left `validating_files`, and cancels it. */
  const startJob = async (): Promise<number> => {
    const began = performance.now();
    const job = await createJob(api, key, file, { seed: asked++ });
    for (;;) {
      const { status, error } = JSON.parse((await ask({ path: `${jobs}/${job}` })).text);
      if (status === 'failed') throw new Error(`a job failed: ${error?.message}`);
      if (status !== 'validating_files') break;
      if (performance.now() - began > 1000 * patience)
        throw new Error(`a job is validated after ${patience} s`);
      await sleep(20);
    }
    const took = performance.now() - began;
    await api.ask({ method: 'POST', path: `${jobs}/${job}/cancel`, key });
    return took;
  };
  const paths = [jobs, '/v1/files', '/v1/models', '/v1/adapters'];
  const clients: Record<Measure, { pause: number; wait(): Promise<number> }> = {
    'start of a job': { pause: 200, wait: startJob },
    request: { pause: 50, wait: async () => (await ask({ path: paths[asked++ % paths.length]! })).took },
    'first token': { pause: 200, wait: async () => (await chat(`Is bike ${asked++} red?`)).first },
    // Threads tokenise these.
    'first token, own template': {
      pause: 200,
      wait: async () => (await chat(`Is bike ${asked++} red?`, { model: own.model })).first,
    },
    'first token, long prompt': { pause: 200, wait: async () => (await chat(`${long}${asked++}?`)).first },
    'structured answer': {
      pause: 200,
      wait: async () => {
        const format = { type: 'json_schema', json_schema };
        return (await chat(`Is bike ${asked++} red?`, { max_tokens: 32, response_format: format })).took;
      },
    },
  };

  return {
    work: async (isOver) => {
      const took = Object.fromEntries(measures.map((name) => [name, []])) as unknown as Waits['took'];
      const failures: string[] = [];
      await Promise.all(
        measures.map(async (name) => {
          const { pause, wait } = clients[name];
          for (; !isOver(); await sleep(pause)) {
            try {
              took[name].push(await wait());
            } catch (error) {
              failures.push(`${name}: ${(error as Error).message}`);
            }
          }
        }),
      );
      return { took, failures };
    },
  };
}
