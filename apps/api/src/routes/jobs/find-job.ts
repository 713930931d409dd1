import { getJob, type Job, type Services } from '@graft/service';
import { ApiError } from '../../api-error.ts';

/** Returns a job of the team. Throws `job_not_found`. */
export async function findJob(services: Services, teamId: string, id: string): Promise<Job> {
  const job = await getJob(services, teamId, id);
  if (!job) throw jobNotFound(id);
  return job;
}

export function jobNotFound(id: string, param = 'fine_tuning_job_id'): ApiError {
  return new ApiError('job_not_found', `No such fine-tuning job: ${id}`, { param });
}
