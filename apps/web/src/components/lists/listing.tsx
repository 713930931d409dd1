import type { Page } from '@graft/client';
import type { ComponentChildren } from 'preact';
import { count } from '../../text/numbers.ts';
import { Empty } from '../empty.tsx';
import { Loaded, type Query } from '../loaded.tsx';
import { Problem } from '../problem.tsx';
import { More, type Pages, ShowMore } from './more.tsx';
import { type Column, Table } from './table.tsx';

type Rows<Row> = Query<{ pages: Page<Row>[] }>;

export const rowsOf = <Row,>(pages: Pick<Rows<Row>, 'data'>): Row[] =>
  pages.data?.pages.flatMap(({ data }) => data) ?? [];

interface TableOptions<Row> {
  label: string;
  columns: readonly Column<Row>[];
  minWidth?: string;
}

/** A list within a page that is often empty: then a line of text, and nothing before it is loaded. */
export function ShortListing<Row extends { id: string }>({
  pages,
  emptyText,
  ...table
}: { pages: Rows<Row>; emptyText: string } & TableOptions<Row>) {
  const rows = rowsOf(pages);
  return (
    <>
      {pages.error != null && <Problem error={pages.error} onRetry={pages.refetch} />}
      {rows.length > 0 ? (
        <Table {...table} rows={rows} rowKey={({ id }) => id} />
      ) : (
        pages.data && <p class="soft">{emptyText}</p>
      )}
    </>
  );
}

/** A paginated table with its loading, error and empty states. */
export function Listing<Row extends { id: string }>({
  pages,
  emptyTitle,
  emptyText,
  emptyAction,
  isScrolled = false,
  ...table
}: {
  pages: Pages & Rows<Row>;
  /** Shown if there are no rows: what would be here, and the next step. */
  emptyTitle: string;
  emptyText: ComponentChildren;
  emptyAction?: ComponentChildren;
  /** Scrolling loads the next page. */
  isScrolled?: boolean;
} & TableOptions<Row>) {
  return (
    <Loaded query={pages}>
      {() => {
        const rows = rowsOf(pages);
        if (rows.length === 0)
          return (
            <Empty title={emptyTitle}>
              <p>{emptyText}</p>
              {emptyAction}
            </Empty>
          );
        return (
          <>
            <Table {...table} rows={rows} rowKey={({ id }) => id} />
            {isScrolled && <More query={pages} />}
            {!isScrolled && pages.hasNextPage && (
              <div class="row">
                <ShowMore query={pages} />
                <span class="small soft">Showing {count(rows.length)}</span>
              </div>
            )}
          </>
        );
      }}
    </Loaded>
  );
}
