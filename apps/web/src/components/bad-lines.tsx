import { count } from '../text/numbers.ts';
import { Table } from './lists/table.tsx';

export interface BadLine {
  line: number;
  message: string;
}

/** Lines of a file that cannot be used, each with its reason. */
export function BadLines({
  label,
  lines,
  total,
}: {
  label: string;
  lines: readonly BadLine[];
  total?: number;
}) {
  return (
    <>
      <Table
        label={label}
        minWidth="24rem"
        rows={lines}
        rowKey={({ line }) => String(line)}
        columns={[
          { head: 'Line', cell: ({ line }) => count(line), names: true, width: '6rem' },
          { head: 'What is wrong', cell: ({ message }) => message },
        ]}
      />
      {total !== undefined && total > lines.length && (
        <p class="small soft">
          These are the first {count(lines.length)} of {count(total)}.
        </p>
      )}
    </>
  );
}
