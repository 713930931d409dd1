import { type Hyperparameters, HyperparametersSchema, trainingMethods } from '@graft/peft-core/config';
import { Type } from 'typebox';
import { closed, parsedElsewhere, ref } from '../schema.ts';

const NotAvailable = Type.Optional(
  Type.Unsafe<unknown>({ type: 'null', [parsedElsewhere]: true, description: 'Not available.' }),
);

/** How a job trains, as OpenAI names it: the objective follows from it and the training file's format. */
interface Method {
  type: string;
  /** Of the method that `type` names. */
  [method: string]: unknown;
}

const MethodOptions = Type.Optional(
  Type.Object({ hyperparameters: Type.Optional(ref(HyperparametersSchema)) }, closed),
);

export const MethodSchema = Type.Unsafe<Method>(
  Type.Object(
    {
      type: Type.Unsafe<string>({
        enum: [...trainingMethods],
        [parsedElsewhere]: true,
        description: `Available: ${trainingMethods.map((name) => `\`${name}\``).join(', ')}.`,
      }),
      ...Object.fromEntries(
        [...new Set([...trainingMethods, 'dpo', 'reinforcement'])].map((name) => [
          name,
          trainingMethods.includes(name) ? MethodOptions : NotAvailable,
        ]),
      ),
    },
    closed,
  ),
);

/** The hyperparameters of a method, which match their schema. */
export const hyperparametersOf = (method: Method): Hyperparameters | undefined =>
  (method[method.type] as { hyperparameters?: Hyperparameters } | undefined)?.hyperparameters;
