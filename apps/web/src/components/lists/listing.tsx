import type { Page } from '@graft/client';
import type { ComponentChildren } from 'preact';
import { count } from '../../text/numbers.ts';
import { Empty } from '../empty.tsx';
import { Loaded, type Query } from '../loaded.tsx';
import { More, type Pages, ShowMore } from './more.tsx';
import { type Column, Table } from './table.tsx';

/** A paginated table with its loading, error and empty states. */
export function Listing<Row extends { id: string }>({
  pages,
  emptyTitle,
  emptyText,
  emptyAction,
  isScrolled = false,
  ...table
}: {
  pages: Pages & Query<{ pages: Page<Row>[] }>;
  /** Shown if there are no rows: what would be here, and the next step. */
  emptyTitle: string;
  emptyText: ComponentChildren;
  emptyAction?: ComponentChildren;
  /** Scrolling loads the next page. */
  isScrolled?: boolean;
  label: string;
  columns: readonly Column<Row>[];
  minWidth?: string;
}) {
  return (
    <Loaded query={pages}>
      {(loaded) => {
        const rows = loaded.pages.flatMap(({ data }) => data);
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
