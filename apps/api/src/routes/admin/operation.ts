import type { TSchema } from 'typebox';
import { type OperationSchema, operations } from '../operation.ts';

const configured = operations('Operator');

/** Options of an operator's route that responds with `answer`. */
export function operation<A extends TSchema, S extends OperationSchema>(
  summary: string,
  answer: A,
  schema?: S,
) {
  return configured({ access: 'operator' }, summary, answer, schema);
}
