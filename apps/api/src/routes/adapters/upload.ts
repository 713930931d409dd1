import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import multipart from '@fastify/multipart';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { checkStoredWeights } from '@graft/peft-core/check';
import type { PeftConfig } from '@graft/peft-core/config';
import { rewriteAdapterConfig } from '@graft/peft-core/files';
import { autoClass, writesText } from '@graft/peft-core/outlines';
import { findFineTunedModel, publishUpload } from '@graft/service/adapters';
import { newId } from '@graft/service/ids';
import { receiveBytes } from '@graft/service/uploads';
import { AdapterVersionSchema } from '@graft/wire/adapter';
import { UploadAdapterSchema } from '@graft/wire/adapter-requests';
import { ref } from '@graft/wire/schema';
import { type Touched, touchedModel, touchedNewVersion } from '../../access/check-models.ts';
import { toWireAdapterVersion } from '../../answers/adapter.ts';
import { ApiError } from '../../api-error.ts';
import { modelNotFound } from '../../serving/find-model.ts';
import type { ApiSettings } from '../../settings.ts';
import { createAdapterChecker } from '../../uploads/adapter-checker.ts';
import { comingBytes } from '../../uploads/coming-bytes.ts';
import { openAdapterBase } from '../../uploads/open-adapter-base.ts';
import { type AdapterFields, multipartLimits, receiveAdapter } from '../../uploads/receive-adapter.ts';
import { writeRow } from '../../uploads/write-row.ts';
import { operations } from '../operation.ts';

const operation = operations('Adapters');

/** POST /adapters: uploads an adapter trained elsewhere, and treats its files as hostile. */
export const adapterUploadRoutes: FastifyPluginAsyncTypebox<{ settings: ApiSettings }> = async (
  app,
  { settings },
) => {
  const { services } = app;
  const checker = createAdapterChecker(settings.adapterCheckTimeoutMs, app.services.threads.adapters);
  app.addHook('onClose', checker.close);
  await app.register(multipart, { limits: multipartLimits });

  app.post(
    '/adapters',
    {
      // Each part has its own limit.
      bodyLimit: Number.MAX_SAFE_INTEGER,
      ...operation(
        {
          longBody: true,
          documentedBody: UploadAdapterSchema,
          access: { scope: 'adapters:write', models: 'body', answer: 'own' },
        },
        'Upload an adapter',
        ref(AdapterVersionSchema),
        {
          errors: [404],
          description:
            'multipart/form-data with `base_model`, `name` and two or three times `file`: Hugging Face PEFT’s adapter_config.json and adapter_model.safetensors, and optionally README.md. Every key, shape and number is checked against the base model. The upload becomes the next version of the adapter with this name, and can be called immediately.',
          consumes: ['multipart/form-data'],
        },
      ),
    },
    async (request, reply) => {
      reply.hold('uploads');
      if (!request.isMultipart())
        throw new ApiError('unsupported_media_type', 'Send the files as multipart/form-data.');
      const { caller } = request;
      const { teamId } = caller;
      const incoming = await reply.inTurn(() => receiveBytes(services, teamId, comingBytes(request)));
      const folder = await services.artifacts.stage(newId('version'), 0).catch(async (error: unknown) => {
        await incoming.end();
        throw error;
      });
      const sent: SentFields = {};
      try {
        const fields = await receiveAdapter(
          request,
          folder,
          incoming,
          { bytes: services.env.maxUploadBytes, idleMs: settings.uploadIdleMs },
          async (name, value) => {
            // Checked early, so that no gigabytes are sent in vain if the fields come before the files.
            if (name === 'base_model' && !(await services.baseModels.has(value, teamId)))
              throw unknownBase(value);
            sent[name] = value;
            request.checkModels(touchedBy(sent, caller.teamName));
          },
        );
        const base = await baseOf(fields.base_model, teamId);
        const parentId = fields.parent === null ? null : await parentOf(teamId, fields.parent, base.id);
        const { config, digest } = base;
        const { peft } = await checker.check(teamId, { folder, base: { config, digest } });
        refuseOtherTasks(peft);
        checkStoredWeights(peft, base.config, base.tensors);
        // Loaders act on what the config names, wherever the files are downloaded, so the sender's paths and names are replaced.
        await rewriteAdapterConfig(folder, peft, base.id);
        const stored = await services.artifacts.publish(folder);
        const { name, note } = fields;
        const transformers_class = autoClass(config, peft.task_type);
        const upload = {
          ...stored,
          name,
          base: { id: base.id, digest, transformers_class },
          peft,
          parentId,
          note,
        };
        const write = () => reply.inTurn(() => publishUpload(services, teamId, upload, caller, incoming));
        return toWireAdapterVersion(await writeRow(write, () => services.artifacts.remove(stored.artifact)));
      } finally {
        await rm(dirname(folder), { recursive: true, force: true }).catch(() => {});
        await incoming.end();
      }
    },
  );

  async function baseOf(id: string, teamId: string) {
    if (!(await services.baseModels.has(id, teamId))) throw unknownBase(id);
    return await openAdapterBase(services, id);
  }

  async function parentOf(teamId: string, name: string, baseModel: string): Promise<string> {
    const parent = await findFineTunedModel(services, teamId, name);
    if (!parent) throw modelNotFound(name);
    if (parent.baseModel === baseModel) return parent.id;
    throw new ApiError('invalid_value', `Invalid 'parent': its base model is ${parent.baseModel}.`, {
      param: 'parent',
    });
  }
};

type SentFields = Partial<Record<keyof AdapterFields, string>>;

/** Models that the fields received so far use: the adapter that gets a version, once base model and name are known, and the parent. */
function touchedBy({ base_model: baseModel, name, parent }: SentFields, teamName: string): Touched[] {
  return [
    ...(baseModel !== undefined && name !== undefined
      ? [touchedNewVersion({ baseModel, teamName, name }, 'name')]
      : []),
    ...(parent !== undefined ? [touchedModel(parent, 'parent')] : []),
  ];
}

function unknownBase(id: string): ApiError {
  return new ApiError('model_not_found', `No such base model: ${id}; GET /v1/models lists them.`, {
    status: 400,
    param: 'base_model',
  });
}

function refuseOtherTasks({ task_type: task }: PeftConfig): void {
  if (writesText(task)) return;
  throw new ApiError(
    'unsupported_task',
    `adapter_config.json: task_type is ${task}; adapters that were made elsewhere must write text, CAUSAL_LM or SEQ_2_SEQ_LM.`,
    { param: 'peft.task_type' },
  );
}
