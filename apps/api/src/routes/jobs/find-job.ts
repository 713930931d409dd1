import { getJob, type Job } from '@graft/service/jobs';
import type { Services } from '@graft/service/services';
import { found } from '../../not-found.ts';

/** Returns a job of the team. Throws `job_not_found`. */
export async function findJob(services: Services, teamId: string, id: string): Promise<Job> {
  return found(await getJob(services, teamId, id), 'job', id);
}
