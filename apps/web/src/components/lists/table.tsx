import { Component, type ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export interface Column<Row> {
  head?: ComponentChildren;
  cell: (row: Row) => ComponentChildren;
  /** Right-aligned, for numbers. */
  end?: boolean;
  /** The buttons of each row: right-aligned, under a hidden head. */
  isActions?: true;
  /** CSS width. Columns without one share the remaining width. */
  width?: string;
  /** The column with the row headers; by default the first. */
  isRowHeader?: boolean;
}

/**
 * A table with a sticky head. A table wider than the page scrolls sideways instead. Columns have fixed widths, so that nothing moves
 * when data arrive. `label` is its accessible name.
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
    // A scroll container would catch the sticky head, so only tables that fit get one that sticks to the page.
    const section = place.current!;
    const observer = new ResizeObserver(() => {
      section.dataset.fits = String(section.scrollWidth <= section.clientWidth);
    });
    observer.observe(section);
    return () => observer.disconnect();
  }, [minWidth]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: scrollable areas must be focusable
    <section class="table-scroll card" ref={place} aria-label={label} tabIndex={0}>
      <table style={{ minWidth }}>
        <colgroup>
          {columns.map(({ width }, i) => (
            <col key={i} style={width ? { width } : {}} />
          ))}
        </colgroup>
        <thead>
          <tr>
            {columns.map(({ head, end, isActions }, i) => (
              <th key={i} scope="col" data-end={end ?? isActions}>
                {isActions ? <span class="visually-hidden">Actions</span> : head}
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
 * Renders again only when a field of its row changes, so that an update of a long list renders one row. A new `columns` array renders
 * all rows.
 */
class TableRow<Row> extends Component<TableRowProps<Row>> {
  override shouldComponentUpdate(next: TableRowProps<Row>): boolean {
    const { row, columns } = this.props;
    return columns !== next.columns || !isSame(row, next.row);
  }

  override render({ row, columns }: TableRowProps<Row>) {
    const header = Math.max(
      0,
      columns.findIndex(({ isRowHeader }) => isRowHeader),
    );
    return (
      <tr>
        {columns.map(({ cell, end, isActions }, i) =>
          i === header ? (
            <th key={i} scope="row">
              {cell(row)}
            </th>
          ) : (
            <td key={i} data-end={end ?? isActions}>
              {isActions ? <span class="row end">{cell(row)}</span> : cell(row)}
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
