/** The address of the playground with two models side by side. */
export const playgroundWith = (a: string, b: string): string =>
  `/playground?${new URLSearchParams({ a, b })}`;
