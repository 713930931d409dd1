/** URL of the playground with two models side by side. */
export const playgroundLink = (a: string, b: string): string =>
  `/playground?${new URLSearchParams({ a, b })}`;
