import assert from 'node:assert/strict';
import { assertError } from './assert-error.ts';
import type { Answer, ApiBench } from './open-api-bench.ts';

export const jobsPath = '/v1/fine_tuning/jobs';

/** Requests of one team for jobs on the model `tiny`. */
export interface JobRequests {
  /** Requests a job on `file`, with more fields of the body. */
  create(more?: object, headers?: Record<string, string>): Promise<Answer>;
  /** Asserts that the request fails with 400 and creates no job. Returns the message. */
  refuses(more: object, code: string, param?: string | null): Promise<string>;
}

export function jobRequests(bench: ApiBench, file: string): JobRequests {
  const create: JobRequests['create'] = async (more = {}, headers = {}) =>
    await bench.acme.send('POST', jobsPath, { model: 'tiny', training_file: file, ...more }, headers);
  const count = async () => {
    const { rows } = await bench.services.sql.query<{ n: number }>('SELECT count(*)::int AS n FROM jobs');
    return rows[0]?.n;
  };
  const refuses: JobRequests['refuses'] = async (more, code, param) => {
    const before = await count();
    const message = assertError(await create(more), 400, code, param);
    assert.equal(await count(), before);
    return message;
  };
  return { create, refuses };
}
