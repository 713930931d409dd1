import { Type } from 'typebox';
import { deletedSchema, input } from '../schema.ts';

export const DeleteJobQuery = input({
  adapters: Type.Optional(
    Type.Enum(['keep', 'delete'], {
      default: 'keep',
      description:
        'What to do with the adapter that the job trained. `keep`: it remains, without its job. `delete`: it is deleted too, and can be restored for a limited time.',
    }),
  ),
});

export const DeletedJobSchema = deletedSchema('DeletedFineTuningJob', 'fine_tuning.job');
