/** A fault of a file or a request, as the API and peft-core report it. */
export interface Fault {
  /** The first line with the fault. */
  line?: number;
  path?: string;
  message: string;
  /** If several lines have the fault: their number, and the lines as ranges from first to last. */
  count?: number;
  lines?: readonly (readonly number[])[];
}

const maxRanges = 10;

/** Formats a fault: `lines 3-9, 12 and 97 more: has no …`, or `line 3 has no …`. */
export function faultText({ line, path = '', message, count, lines = [] }: Fault): string {
  if (count === undefined || lines.length === 0)
    return `${line === undefined ? path : `line ${line}`} ${message}`.trim();
  const shown = lines.slice(0, maxRanges);
  const left = shown.reduce((rest, [first = 0, last = first]) => rest - (last - first + 1), count);
  const numbers = shown.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
  return `lines ${numbers}${left > 0 ? ` and ${left} more` : ''}: ${message}`;
}
