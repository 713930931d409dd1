import type pg from 'pg';
import { newId } from '../../ids.ts';

export interface JobEvent {
  id: string;
  /** Grows with every event of the installation: read on with `eventsAfter(seq)`. */
  seq: number;
  jobId: string;
  level: 'info' | 'warn' | 'error';
  type: 'message' | 'metrics';
  message: string;
  data: Record<string, unknown> | null;
  createdAt: Date;
}

export interface NewJobEvent {
  message: string;
  level?: JobEvent['level'];
  type?: JobEvent['type'];
  data?: Record<string, unknown>;
}

/** Select list that yields a row of type `JobEvent` from `job_events`. */
export const jobEventColumns =
  'id, seq::float8 AS seq, job_id AS "jobId", level, type, message, data, created_at AS "createdAt"';

/** Adds an event in the caller's transaction, so that it exists exactly when the transition does. */
export async function insertEvent(
  tx: pg.Pool | pg.PoolClient,
  job: { id: string; teamId: string },
  event: NewJobEvent,
): Promise<void> {
  await tx.query(
    `INSERT INTO job_events (id, team_id, job_id, level, type, message, data, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())`,
    [
      newId('event'),
      job.teamId,
      job.id,
      event.level ?? 'info',
      event.type ?? 'message',
      event.message,
      event.data ? JSON.stringify(event.data) : null,
    ],
  );
}
