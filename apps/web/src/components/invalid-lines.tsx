import { useState } from 'preact/hooks';
import { count, counted } from '../text/numbers.ts';
import { Button } from './forms/button.tsx';
import { Table } from './lists/table.tsx';

export interface InvalidLine {
  /** The first line with this error. If absent, the message has the position. */
  line?: number;
  message: string;
  /** If several lines have this error: how many, and which, as inclusive ranges. */
  count?: number;
  lines?: readonly (readonly number[])[];
}

/** Errors shown at first, and line ranges of each. */
const maxShown = 10;

/** Invalid lines of a file: each error once, with the lines that have it. */
export function InvalidLines({
  label,
  lines: errors,
  total,
  isExcerpt = false,
}: {
  label: string;
  lines: readonly InvalidLine[];
  total?: number;
  /** Another page shows all lines, so there is no button for it. */
  isExcerpt?: boolean;
}) {
  const [showsAll, setShowsAll] = useState(false);
  const shown = showsAll ? errors : errors.slice(0, maxShown);
  const hasMore = errors.length > maxShown || errors.some(({ lines = [] }) => lines.length > maxShown);
  const listed = shown.reduce((sum, { count = 1 }) => sum + count, 0);
  return (
    <>
      <Table
        label={label}
        minWidth="24rem"
        rows={shown}
        rowKey={({ line, message }) => `${line} ${message}`}
        columns={[
          { head: 'Lines', cell: (error) => linesText(error, showsAll), width: '11rem' },
          { head: 'Issue', cell: ({ message }) => message },
        ]}
      />
      {hasMore && !showsAll && !isExcerpt && (
        <p>
          <Button small onClick={() => setShowsAll(true)}>
            Show all lines
          </Button>
        </p>
      )}
      {total !== undefined && total > listed && (
        <p class="small soft">
          Showing {count(listed)} of {counted(total, 'line')}.
        </p>
      )}
    </>
  );
}

/** The number of invalid lines that an error's message ends with, if it has more errors than details. */
export const totalInvalidLines = (message: string): number | null => {
  const total = /(\d+) (?:bad|invalid) lines [^\d]*$/.exec(message)?.[1];
  return total === undefined ? null : Number(total);
};

/** "3–9, 12 and 97 more". */
export function linesText({ line, count: all = 1, lines = [] }: InvalidLine, showsAll: boolean): string {
  if (lines.length === 0) return count(line);
  const shown = showsAll ? lines : lines.slice(0, maxShown);
  const hidden = shown.reduce((rest, [first = 0, last = first]) => rest - (last - first + 1), all);
  const numbers = shown.map(([first, last]) =>
    first === last ? count(first) : `${count(first)}–${count(last)}`,
  );
  return `${numbers.join(', ')}${hidden > 0 ? ` and ${count(hidden)} more` : ''}`;
}
