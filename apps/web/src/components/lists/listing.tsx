import type { Page } from '@graft/client';
import type { ComponentChildren } from 'preact';
import { count } from '../../text/numbers.ts';
import { Button } from '../forms/button.tsx';
import { Problem } from '../problem.tsx';
import { Waiting } from '../waiting.tsx';
import { type Column, Table } from './table.tsx';

/** The part of `usePages`' result used here. */
interface Paged<Row> {
  data: { pages: Page<Row>[] } | undefined;
  error: unknown;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
  refetch: () => unknown;
}

/** A paginated table with its loading, error and empty states. */
export function Listing<Row extends { id: string }>({
  pages,
  empty,
  ...table
}: {
  pages: Paged<Row>;
  /** Shown if there are no rows. */
  empty: ComponentChildren;
  label: string;
  columns: readonly Column<Row>[];
  minWidth?: string;
}) {
  const rows = pages.data?.pages.flatMap(({ data }) => data);
  if (!rows) return pages.error ? <Problem error={pages.error} onRetry={pages.refetch} /> : <Waiting />;
  if (rows.length === 0) return <>{empty}</>;
  return (
    <>
      <Table {...table} rows={rows} rowKey={({ id }) => id} />
      {pages.hasNextPage && (
        <div class="row">
          <Button busy={pages.isFetchingNextPage} onClick={pages.fetchNextPage}>
            Show more
          </Button>
          <span class="small soft">Showing {count(rows.length)}</span>
        </div>
      )}
    </>
  );
}
