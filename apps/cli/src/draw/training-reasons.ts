/** One line for each option that Graft chose, with its value and the reason: "n_epochs 3: for up to 5,000 examples". */
export function reasonLines(training: object, reasons: Readonly<Record<string, string>> | null): string[] {
  const values = training as Record<string, unknown>;
  return Object.entries(reasons ?? {}).map(
    ([option, reason]) => `${option} ${shown(values[option])}: ${reason}`,
  );
}

const shown = (value: unknown): string =>
  typeof value === 'number' && value > 0 && value < 0.01 ? value.toExponential() : String(value);
