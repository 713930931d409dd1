import { Type } from 'typebox';
import { deletedSchema } from '../schema.ts';

export const DeleteJobQuery = Type.Object(
  {
    adapters: Type.Optional(
      Type.Enum(['keep', 'delete'], {
        default: 'keep',
        description:
          'What to do with the adapter that the job trained. `keep`: it remains, without its job. `delete`: it is deleted too, and can be restored for a limited time.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const DeletedJobSchema = deletedSchema('DeletedFineTuningJob', 'fine_tuning.job');
