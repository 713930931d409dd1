/** Why answers cannot follow a schema, as "must …", with the place in the schema. */
export class SchemaFault extends Error {}

/** A part of a schema, and what reading the whole schema may still cost, in steps. */
export interface Place {
  path: string;
  budget: { left: number };
}

/** Steps of reading the schemas of a request: at most about 0.1 s of processor time. */
export const MAX_STEPS = 300_000;

export const placeOf = ({ path }: Pick<Place, 'path'>): string => (path === '' ? '' : ` at ${path}`);

/** Throws SchemaFault if the schemas have cost too much. */
export function spend(place: Place, steps: number): void {
  place.budget.left -= steps;
  if (place.budget.left < 0)
    throw new SchemaFault(
      `must be simpler${placeOf(place)}: use fewer alternatives and optional properties, shorter patterns and counted repetitions, and smaller lengths beside a pattern`,
    );
}
