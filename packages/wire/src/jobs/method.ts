import {
  type Hyperparameters,
  HyperparametersSchema,
  PreferenceHyperparametersSchema,
  type PreferenceMethod,
  preferenceMethods,
  trainingMethods,
} from '@graft/peft-core/config';
import { type Static, Type } from 'typebox';
import { input, parsedElsewhere, ref } from '../schema.ts';

const NotAvailable = Type.Optional(
  Type.Unsafe<unknown>({ type: 'null', [parsedElsewhere]: true, description: 'Not supported.' }),
);

/** How a job trains, in OpenAI's terms. The method and the format of the training file determine the objective. */
export type Method = {
  type: 'supervised' | PreferenceMethod;
  supervised?: { hyperparameters?: Static<typeof HyperparametersSchema> };
  reinforcement?: null;
} & { [Name in PreferenceMethod]?: { hyperparameters?: Hyperparameters } };

const methodOptions = (name: string) =>
  Type.Optional(
    input({
      hyperparameters: Type.Optional(
        ref(preferenceMethods.includes(name) ? PreferenceHyperparametersSchema : HyperparametersSchema),
      ),
    }),
  );

export const MethodSchema = Type.Unsafe<Method>(
  input({
    type: Type.Unsafe<string>({
      enum: [...trainingMethods],
      [parsedElsewhere]: true,
      description: `Training method. Supported: ${trainingMethods.map((name) => `\`${name}\``).join(', ')}.`,
    }),
    ...Object.fromEntries(
      [...trainingMethods, 'reinforcement'].map((name) => [
        name,
        trainingMethods.includes(name) ? methodOptions(name) : NotAvailable,
      ]),
    ),
  }),
);

/** The hyperparameters of a method that matches its schema. */
export const hyperparametersOf = (method: Method): Hyperparameters | undefined =>
  method[method.type]?.hyperparameters;
