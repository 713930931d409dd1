import { Type } from 'typebox';
import { AdapterVersionParams } from '../adapter.ts';
import { After, limit } from '../list.ts';
import { publicationStatuses } from '../lists.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, optional, Time } from '../schema.ts';
import { makerFields } from './exit.ts';

export const PublicationSchema = named('AdapterPublication', {
  id: Type.String(),
  object: Type.Literal('adapter.publication'),
  created_at: Time,
  adapter_id: Type.String(),
  version: Type.Integer({ minimum: 1 }),
  export_id: nullable(Type.String(), {
    description:
      'The export that is published, which may have been removed since. Null: the version’s own files.',
  }),
  format: nullable(Type.String(), { description: 'Format of the export. Null: the version’s own files.' }),
  repository: Type.String(),
  public: Type.Boolean({
    description:
      'Whether a public repository was permitted. One that is created is then public; one that exists remains as it is, and may be private.',
  }),
  card: Type.Boolean({ description: 'Whether Graft writes the model card.' }),
  ...makerFields('requested it', 'ends a publication that is not complete'),
  status: oneOf(publicationStatuses),
  url: nullable(Type.String(), {
    description: 'Address of the commit that has all files. Null until it has succeeded.',
  }),
  commit: nullable(Type.String()),
  changed_files: nullable(Type.Integer(), {
    description:
      'Files that were added or changed. 0: the repository had all of them, and there is no new commit.',
  }),
  bytes: nullable(Type.Integer(), { description: 'Their bytes.' }),
  attempts: Type.Integer({ description: 'Number of attempts so far.' }),
  next_attempt_at: nullable(Time, {
    description: 'Earliest start of the next attempt after a temporary error.',
  }),
  error: nullable(
    Type.Object({ code: Type.String(), message: Type.String(), param: nullable(Type.String()) }),
    {
      description:
        'Why it failed. While it is `queued` again after a temporary error, that error. Otherwise null.',
    },
  ),
  started_at: nullable(Time, { description: 'When the last attempt started.' }),
  finished_at: nullable(Time),
});

export const CreatePublicationSchema = namedInput('CreateAdapterPublication', {
  repository: Type.String({
    minLength: 1,
    maxLength: 200,
    description:
      '`owner/name` of a model repository that an admin of the team has allowed. It is created if it does not exist.',
  }),
  ...optional({
    export_id: nullable(Type.String({ minLength: 1, maxLength: 64 }), {
      description: 'A finished export of this version. Null or omitted: the version’s own files.',
    }),
    public: Type.Boolean({
      default: false,
      description:
        'Create a public repository, or allow one that is public already, if an admin of the team has allowed that.',
    }),
    card: Type.Boolean({
      default: true,
      description:
        'Write a model card, README.md. The README.md of an adapter that was uploaded with one remains in any case.',
    }),
  }),
});

export const DeletedPublicationSchema = deletedSchema('DeletedAdapterPublication', 'adapter.publication');

export const PublicationParams = Type.Object({
  ...AdapterVersionParams.properties,
  publication_id: Type.String(),
});
export const ListPublicationsQuery = input({ after: After, limit: limit(20, 100) });
