import { Component, type ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import '../../styles/components/table.css';

export interface Column<Row> {
  head: ComponentChildren;
  cell: (row: Row) => ComponentChildren;
  /** Numbers stand at the end, one below the other. */
  end?: boolean;
  /** Of CSS; what has none shares what is left. */
  width?: string;
  /** The column that names its row. */
  names?: boolean;
}

/**
 * Rows below a head that stays in sight, unless it is wider than the page: then it scrolls sideways by itself. `label` tells readers
 * what it lists. Columns have fixed widths, so that nothing moves when data come.
 */
export function Table<Row>({
  label,
  columns,
  rows,
  rowKey,
  minWidth = '40rem',
}: {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  minWidth?: string;
}) {
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    // What scrolls holds its head itself; only where it need not, the head can stay while the page scrolls.
    const section = place.current!;
    const observer = new ResizeObserver(() => {
      section.dataset.fits = String(section.scrollWidth <= section.clientWidth);
    });
    observer.observe(section);
    return () => observer.disconnect();
  }, [minWidth]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section class="table-scroll" ref={place} aria-label={label} tabIndex={0}>
      <table style={{ minWidth }}>
        <colgroup>
          {columns.map(({ width }, i) => (
            <col key={i} style={width ? { width } : {}} />
          ))}
        </colgroup>
        <thead>
          <tr>
            {columns.map(({ head, end }, i) => (
              <th key={i} scope="col" data-end={end}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <TableRow key={rowKey(row)} row={row} columns={columns} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface TableRowProps<Row> {
  row: Row;
  columns: readonly Column<Row>[];
}

/**
 * Drawn again only when a field of its row is another one, so that in a list of a thousand that is told of a change a second one row
 * is. Whoever makes `columns` anew each time has them all drawn.
 */
class TableRow<Row> extends Component<TableRowProps<Row>> {
  override shouldComponentUpdate(next: TableRowProps<Row>): boolean {
    const { row, columns } = this.props;
    return columns !== next.columns || !isSame(row, next.row);
  }

  override render({ row, columns }: TableRowProps<Row>) {
    return (
      <tr>
        {columns.map(({ cell, end, names }, i) =>
          names ? (
            <th key={i} scope="row">
              {cell(row)}
            </th>
          ) : (
            <td key={i} data-end={end}>
              {cell(row)}
            </td>
          ),
        )}
      </tr>
    );
  }
}

function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const fields = Object.entries(a);
  return (
    fields.length === Object.keys(b).length &&
    fields.every(([name, value]) => (b as Record<string, unknown>)[name] === value)
  );
}
