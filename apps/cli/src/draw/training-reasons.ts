/** A line for each option that Graft chose, with its value and why: "learning_rate 2e-4: what suits LoRA". */
export function reasonLines(training: object, reasons: Readonly<Record<string, string>> | null): string[] {
  const values = training as Record<string, unknown>;
  return Object.entries(reasons ?? {}).map(
    ([option, reason]) => `${option} ${shown(values[option])}: ${reason}`,
  );
}

const shown = (value: unknown): string =>
  typeof value === 'number' && value > 0 && value < 0.01 ? value.toExponential() : String(value);
