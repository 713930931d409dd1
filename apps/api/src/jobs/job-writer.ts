import { createQueuePlaces, type Job, type QueuePlaces } from '@graft/service/jobs';
import type { Services } from '@graft/service/services';
import type { JobSchema } from '@graft/wire/jobs/fine-tuning-job';
import type { Static } from 'typebox';
import { toWireJob } from '../answers/job.ts';

export type WireJob = Static<typeof JobSchema>;

/** Converts jobs to the API's format, queued ones with their places in the queue. */
export interface JobWriter {
  wire(job: Job): Promise<WireJob>;
  wireAll(jobs: Job[]): Promise<WireJob[]>;
  places: QueuePlaces;
}

export function createJobWriter(services: Services): JobWriter {
  const places = createQueuePlaces(services);
  const wireAll = async (jobs: Job[]) => {
    const queued = jobs.filter(({ state }) => state === 'queued');
    const found = await places(queued.map(({ id }) => id));
    return jobs.map((job) => toWireJob(job, found.get(job.id) ?? null));
  };
  return { wireAll, places, wire: async (job) => (await wireAll([job]))[0]! };
}
