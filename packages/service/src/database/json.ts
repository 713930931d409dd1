import type { Prisma } from '../generated/client.ts';

/** A value for a JSON column. Prisma's type of one excludes interfaces and `unknown`; its value is written as JSON all the same. */
export function json(value: object): Prisma.InputJsonValue {
  return value as Prisma.InputJsonValue;
}
