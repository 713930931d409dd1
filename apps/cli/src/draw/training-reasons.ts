/** One line for each option that Graft chose, with its value and the reason: "n_epochs 3: for up to 5,000 examples". */
export function reasonLines(training: object, reasons: Readonly<Record<string, string>> | null): string[] {
  const values = training as Record<string, unknown>;
  return Object.entries(reasons ?? {}).map(
    ([option, reason]) => `${option} ${shown(values[option])}: ${reason}`,
  );
}

/** Maximum number of characters shown of a value, such as a chat template. */
const maxShown = 60;

function shown(value: unknown): string {
  if (typeof value === 'number' && value > 0 && value < 0.01) return value.toExponential();
  const text = String(value).replaceAll(/\s+/g, ' ');
  return text.length > maxShown ? `${text.slice(0, maxShown - 1)}…` : text;
}
