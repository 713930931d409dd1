import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { checkPermitted } from '@graft/service/base-models';
import {
  createPublication,
  deletePublication,
  getPublication,
  listPublications,
  type Publication,
} from '@graft/service/publications';
import { AdapterVersionParams } from '@graft/wire/adapter';
import {
  CreatePublicationSchema,
  DeletedPublicationSchema,
  ListPublicationsQuery,
  PublicationParams,
  PublicationSchema,
} from '@graft/wire/adapters/publication';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { toWireMaker } from '../../answers/exit.ts';
import { toWireList, unixSeconds } from '../../answers/list.ts';
import { found } from '../../not-found.ts';
import { operations } from '../operation.ts';
import { findVersion } from './find-adapter.ts';

const operation = operations('Publications');
const reads = { access: { scope: 'adapters:read', models: 'version' } } as const;
/** All models, since the team's token of the Hub is used, which no limit of a key covers. */
const writeAccess = { scope: 'publications:write', models: 'all' } as const;
const writes = { access: { ...writeAccess, answer: 'adapters:read' } } as const;
const deletes = { access: { ...writeAccess, answer: 'own' } } as const;
const path = '/adapters/:adapter_id/versions/:version/publications';

/** …/versions/{n}/publications: adapter versions and exports that this API sends to the Hugging Face Hub. */
export const publicationRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.post(
    path,
    operation(writes, 'Publish a version or export on the Hugging Face Hub', ref(PublicationSchema), {
      errors: [429],
      description:
        'Sends a finished export, or the version’s own files, to a model repository as one commit, with the token of the team’s integration `huggingface`. An admin of the team allows repositories, and public ones, with `POST /v1/team/publishing`. The repository is private unless `public` is true. If the same has been or is being published to this repository, that publication is returned; one that has failed is queued again. So repeating a request is safe, with or without an Idempotency-Key.',
      params: AdapterVersionParams,
      body: ref(CreatePublicationSchema),
    }),
    async ({ caller, params, body }, reply) => {
      const version = await findVersion(services, caller.teamId, params);
      await checkPermitted(services.baseModels, version);
      const { repository, export_id: exportId = null, public: isPublic = false, card = true } = body;
      const request = { versionId: version.id, exportId, repository, isPublic, card };
      const { publication, created } = await createPublication(services, caller.teamId, request, caller);
      if (!created) reply.header('idempotent-replayed', 'true');
      return toWirePublication(publication, version);
    },
  );

  app.get(
    path,
    operation(reads, 'List the publications of a version', listOf(PublicationSchema), {
      description: 'Newest first.',
      params: AdapterVersionParams,
      querystring: ListPublicationsQuery,
    }),
    async ({ caller, params, query }) => {
      const version = await findVersion(services, caller.teamId, params);
      const page = await listPublications(services, caller.teamId, version.id, query);
      return toWireList(page, (publication) => toWirePublication(publication, version));
    },
  );

  app.get(
    `${path}/:publication_id`,
    operation(reads, 'Get a publication', ref(PublicationSchema), { params: PublicationParams }),
    async ({ caller, params }) => {
      const version = await findVersion(services, caller.teamId, params);
      const { publication_id: id } = params;
      const publication = await getPublication(services, caller.teamId, { versionId: version.id, id });
      return toWirePublication(found(publication, 'publication', id), version);
    },
  );

  app.delete(
    `${path}/:publication_id`,
    operation(deletes, 'Delete a publication', ref(DeletedPublicationSchema), {
      description:
        'Removes the record; one that is queued or running is interrupted within seconds. Nothing is removed from the Hub.',
      params: PublicationParams,
    }),
    async ({ caller, params }) => {
      const version = await findVersion(services, caller.teamId, params);
      const { publication_id: id } = params;
      const of = { versionId: version.id, id };
      found(await deletePublication(services, caller.teamId, of, caller), 'publication', id);
      return { id, object: 'adapter.publication' as const, deleted: true as const };
    },
  );
};

function toWirePublication(
  publication: Publication,
  { adapterId, number }: { adapterId: string; number: number },
): Static<typeof PublicationSchema> {
  const { status, made, error, nextAttemptAt, createdAt } = publication;
  const isAgain = status === 'queued' && error !== null && nextAttemptAt > createdAt;
  return {
    id: publication.id,
    object: 'adapter.publication',
    created_at: unixSeconds(publication.createdAt),
    adapter_id: adapterId,
    version: number,
    export_id: publication.exportId,
    format: publication.format,
    repository: publication.repository,
    public: publication.isPublic,
    card: publication.card,
    ...toWireMaker(publication),
    status,
    url: made?.url ?? null,
    commit: made?.commit ?? null,
    changed_files: made?.changed ?? null,
    bytes: made?.bytes ?? null,
    attempts: publication.attempts,
    next_attempt_at: isAgain ? unixSeconds(nextAttemptAt) : null,
    error: error && { code: error.code, message: error.message, param: error.param },
    started_at: publication.startedAt && unixSeconds(publication.startedAt),
    finished_at: publication.finishedAt && unixSeconds(publication.finishedAt),
  };
}
