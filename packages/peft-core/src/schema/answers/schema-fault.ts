/** Why answers cannot follow a schema, as "must …", with the place in the schema. */
export class SchemaFault extends Error {}

/** A part of a schema, and what reading the whole schema may still cost, in steps. */
export interface Place {
  path: string;
  budget: { left: number };
}

/** Steps of reading a schema: at most about 0.2 s of processor time. */
export const MAX_STEPS = 500_000;

export const placeOf = ({ path }: Pick<Place, 'path'>): string => (path === '' ? '' : ` at ${path}`);

/** Throws SchemaFault if the schema has cost too much. */
export function spend(place: Place, steps: number): void {
  place.budget.left -= steps;
  if (place.budget.left < 0)
    throw new SchemaFault(
      `must be simpler${placeOf(place)}: use fewer alternatives, shorter counted repetitions and smaller lengths beside a pattern`,
    );
}
