import { useState } from 'preact/hooks';
import { count, counted } from '../text/numbers.ts';
import { Button } from './forms/button.tsx';
import { Table } from './lists/table.tsx';

export interface BadLine {
  /** The first line with this fault; without one, the message says where it is. */
  line?: number;
  message: string;
  /** Where several lines have it: how many, and which, as ranges from first to last. */
  count?: number;
  lines?: readonly (readonly number[])[];
}

/** So many faults, and ranges of lines of each, are shown until more are asked for. */
const mostShown = 10;

/** Lines of a file that cannot be used: each fault once, with the lines that have it. */
export function BadLines({
  label,
  lines: faults,
  total,
  isCut = false,
}: {
  label: string;
  lines: readonly BadLine[];
  /** Lines in all. */
  total?: number;
  /** Another page shows the rest. */
  isCut?: boolean;
}) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? faults : faults.slice(0, mostShown);
  const hasMore = faults.length > mostShown || faults.some(({ lines = [] }) => lines.length > mostShown);
  const listed = shown.reduce((sum, { count = 1 }) => sum + count, 0);
  return (
    <>
      <Table
        label={label}
        minWidth="24rem"
        rows={shown}
        rowKey={({ line, message }) => `${line} ${message}`}
        columns={[
          { head: 'Lines', cell: (fault) => linesText(fault, isWhole), names: true, width: '11rem' },
          { head: 'What is wrong', cell: ({ message }) => message },
        ]}
      />
      {hasMore && !isWhole && !isCut && (
        <p>
          <Button small onClick={() => setWhole(true)}>
            Show all lines
          </Button>
        </p>
      )}
      {total !== undefined && total > listed && (
        <p class="small soft">
          These are {count(listed)} of {counted(total, 'line')}.
        </p>
      )}
    </>
  );
}

/** "3–9, 12 and 97 more". */
function linesText({ line, count: all = 1, lines = [] }: BadLine, isWhole: boolean): string {
  if (lines.length === 0) return count(line);
  const shown = isWhole ? lines : lines.slice(0, mostShown);
  const left = shown.reduce((rest, [first = 0, last = first]) => rest - (last - first + 1), all);
  const numbers = shown.map(([first, last]) =>
    first === last ? count(first) : `${count(first)}–${count(last)}`,
  );
  return `${numbers.join(', ')}${left > 0 ? ` and ${count(left)} more` : ''}`;
}
