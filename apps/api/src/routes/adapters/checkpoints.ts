import { copyFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  type CheckpointAdapter,
  deleteCheckpointAdapter,
  findPromoted,
  getCheckpointAdapter,
  hasCheckpoint,
  promoteCheckpoint,
} from '@graft/service/adapters';
import { newId } from '@graft/service/ids';
import type { Job } from '@graft/service/jobs';
import type { Identity } from '@graft/service/keys';
import { isDamage, reportCorruption } from '@graft/service/maintenance';
import { receiveBytes } from '@graft/service/uploads';
import { AdapterVersionSchema } from '@graft/wire/adapter';
import {
  CheckpointParams,
  DeletedCheckpointSchema,
  PromoteCheckpointSchema,
} from '@graft/wire/jobs/job-records';
import { ref } from '@graft/wire/schema';
import { toWireAdapterVersion } from '../../answers/adapter.ts';
import { ApiError } from '../../api-error.ts';
import { createAdapterDownloads } from '../../downloads/adapter-download.ts';
import { sendDownload } from '../../downloads/download.ts';
import { writeRow } from '../../uploads/write-row.ts';
import { findJob } from '../jobs/find-job.ts';
import { operations } from '../operation.ts';

const operation = operations('Fine-tuning');
const path = '/fine_tuning/jobs/:fine_tuning_job_id/checkpoints/:checkpoint_id';

/** /fine_tuning/jobs/{id}/checkpoints/{id}/…: downloads adapters of checkpoints, or promotes them to versions. */
export const checkpointRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;
  const downloadOf = createAdapterDownloads(services);

  /** Throws `job_not_found`, `checkpoint_not_found`, `checkpoint_not_kept`. */
  async function find(
    caller: Identity,
    { fine_tuning_job_id, checkpoint_id }: { fine_tuning_job_id: string; checkpoint_id: string },
  ): Promise<{ job: Job; checkpoint: CheckpointAdapter }> {
    const job = await findJob(services, caller.teamId, fine_tuning_job_id);
    const of = { jobId: job.id, id: checkpoint_id };
    const checkpoint = await getCheckpointAdapter(services, caller.teamId, of);
    if (!checkpoint) {
      throw (await hasCheckpoint(services, caller.teamId, of))
        ? new ApiError(
            'checkpoint_not_kept',
            `The adapter of ${checkpoint_id} is not stored: the list of checkpoints shows which are available.`,
            { param: 'checkpoint_id' },
          )
        : new ApiError('checkpoint_not_found', `No such checkpoint of the job: ${checkpoint_id}`, {
            param: 'checkpoint_id',
          });
    }
    return { job, checkpoint };
  }

  app.get(
    `${path}/download`,
    {
      config: { access: { scope: 'adapters:read', models: 'checkpoint' } },
      schema: {
        tags: ['Fine-tuning'],
        summary: 'Download the adapter of a checkpoint',
        description:
          'Returns a tar as for an adapter version, with Range, If-Range, ETag, If-None-Match and digests.',
        produces: ['application/x-tar'],
        params: CheckpointParams,
      },
    },
    async (request, reply) => {
      const { job, checkpoint } = await find(request.caller, request.params);
      const filename = `${job.suffix ?? job.id.slice(-8)}-step-${checkpoint.step}.tar`;
      // The files may have to be downloaded first, and are digested once.
      reply.endTurn();
      return await sendDownload(request, reply, await downloadOf('checkpoint', checkpoint, filename), {
        action: 'checkpoint.download',
        target: checkpoint.id,
      });
    },
  );

  app.post(
    `${path}/promote`,
    operation(
      { access: { scope: 'adapters:write', models: 'promotion', answer: 'adapters:read' } },
      'Promote a checkpoint to an adapter version',
      ref(AdapterVersionSchema),
      {
        description:
          'Creates the next version of the job’s adapter, or of an adapter with another name. The version remains when the checkpoint is deleted. Repeating the request returns the existing version.',
        params: CheckpointParams,
        body: ref(PromoteCheckpointSchema),
      },
    ),
    async (request, reply) => {
      const { caller, body } = request;
      const { job, checkpoint } = await find(caller, request.params);
      const name = body.name ?? job.suffix ?? job.id.slice(-8);
      const before = await findPromoted(services, checkpoint, name);
      if (before) return toWireAdapterVersion(before);
      reply.hold('uploads');
      // The copy is stored like an upload.
      const incoming = await receiveBytes(services, caller.teamId, checkpoint.bytes);
      try {
        const copying = copyOf(checkpoint);
        const stored = await reply
          .withoutTurn(() => copying)
          .catch(async (error: unknown) => {
            // The client has disconnected meanwhile.
            await copying.then(({ artifact }) => services.artifacts.remove(artifact)).catch(() => {});
            throw error;
          });
        const remove = () => services.artifacts.remove(stored.artifact);
        const made = { name, note: body.note ?? null, stored };
        const promote = () => promoteCheckpoint(services, checkpoint, made, caller, incoming);
        const version = await writeRow(promote, remove);
        // Another request was faster.
        if (version.artifact !== stored.artifact) await remove();
        return toWireAdapterVersion(version);
      } finally {
        await incoming.end();
      }
    },
  );

  /** Copies the checkpoint's files to a new object in the store. */
  async function copyOf(checkpoint: CheckpointAdapter) {
    const folder = await services.artifacts.stage(newId('version'), 0);
    try {
      await copyTo(folder, checkpoint);
      return await services.artifacts.publish(folder);
    } finally {
      await rm(dirname(folder), { recursive: true, force: true }).catch(() => {});
    }
  }

  app.delete(
    path,
    operation(
      { access: { scope: 'models:write', models: 'checkpoint', answer: 'own' } },
      'Delete the adapter of a checkpoint',
      ref(DeletedCheckpointSchema),
      {
        description:
          'Deletes it permanently. Versions created from it remain, and so does the state that training resumes from.',
        params: CheckpointParams,
      },
    ),
    async (request) => {
      const { checkpoint } = await find(request.caller, request.params);
      await deleteCheckpointAdapter(services, checkpoint, request.caller);
      return { id: checkpoint.id, object: 'fine_tuning.job.checkpoint' as const, deleted: true as const };
    },
  );

  /** Copies the verified files of the checkpoint into a local folder. */
  async function copyTo(folder: string, checkpoint: CheckpointAdapter): Promise<void> {
    const { artifact, files, teamId, id, jobId, modelName, corruptAt } = checkpoint;
    try {
      const from = await services.artifacts.localFolder(artifact, { afresh: corruptAt !== null });
      for (const file of files) await copyFile(join(from, file.path), join(folder, file.path));
    } catch (error) {
      if (isDamage(error))
        await reportCorruption(services, { kind: 'checkpoint', teamId, id, jobId, modelName }, error);
      throw error;
    }
  }
};
