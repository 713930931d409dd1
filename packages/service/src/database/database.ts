import type pg from 'pg';

/** What functions over raw SQL need of `Services`. */
export interface Database {
  sql: pg.Pool;
}
