import { Component, type ComponentChild, type ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Button, DownloadLink } from '../forms/button.tsx';
import { DialogButton } from '../forms/form.tsx';

/** A button of a row, which runs something, opens a dialog or downloads a file. */
export interface RowAction {
  text: string;
  kind?: 'quiet' | 'plain';
  busy?: boolean;
  run?: () => unknown;
  dialog?: ComponentChildren;
  /** URL of the file. */
  download?: string;
}

export interface Column<Row> {
  head?: ComponentChildren;
  cell?: (row: Row) => ComponentChildren;
  /** Instead of head and cell: the buttons of a row, right-aligned. */
  actions?: (row: Row) => readonly (RowAction | false)[] | ComponentChild;
  /** Right-aligned, for numbers. */
  end?: boolean;
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
            {columns.map(({ head, end, actions }, i) => (
              <th key={i} scope="col" data-end={end ?? actions !== undefined}>
                {actions ? <span class="visually-hidden">Actions</span> : head}
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
        {columns.map(({ cell, end, actions }, i) =>
          i === header ? (
            <th key={i} scope="row">
              {cell?.(row)}
            </th>
          ) : (
            <td key={i} data-end={end ?? actions !== undefined}>
              {cell?.(row)}
              {actions && <RowActions actions={actions(row)} />}
            </td>
          ),
        )}
      </tr>
    );
  }
}

const RowActions = ({ actions }: { actions: readonly (RowAction | false)[] | ComponentChild }) => (
  <span class="row end">
    {Array.isArray(actions)
      ? (actions as (RowAction | false)[]).map(
          (action) => action && <ActionButton key={action.text} {...action} />,
        )
      : (actions as ComponentChild)}
  </span>
);

function ActionButton({ text, kind = 'quiet', busy = false, run, dialog, download }: RowAction) {
  const button = { small: true, kind, busy, children: text };
  if (download)
    return (
      <DownloadLink small icon="download" href={download}>
        {text}
      </DownloadLink>
    );
  return dialog ? (
    <DialogButton {...button} dialog={dialog} />
  ) : (
    <Button {...button} onClick={() => run?.()} />
  );
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
