import { Type } from 'typebox';
import { deletedSchema } from '../schema.ts';

export const DeleteJobQuery = Type.Object(
  {
    adapters: Type.Optional(
      Type.Enum(['keep', 'delete'], {
        default: 'keep',
        description:
          'Whether the adapter that the job made stays, without its job, or is deleted too; then it can be restored for a time.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const DeletedJobSchema = deletedSchema('DeletedFineTuningJob', 'fine_tuning.job');
