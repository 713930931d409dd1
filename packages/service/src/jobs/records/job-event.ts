import { MAX_MESSAGE, shortened } from '@graft/peft-core/config';
import { json, type Transaction } from '../../database/database.ts';
import { type JobEvent as JobEventRow, Prisma } from '../../generated/client.ts';
import { newId } from '../../ids.ts';

export interface JobEvent {
  id: string;
  /** Grows with every event of the installation; `readJobChanges` reads the events after a given one. */
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

/** Maximum length of an event's message, which may hold that of an error. */
const MAX_EVENT = 2 * MAX_MESSAGE;

/** Adds an event in the caller's transaction, so that it exists exactly if the transition does. */
export async function insertEvent(
  tx: Transaction,
  job: { id: string; teamId: string },
  { message, level = 'info', type = 'message', data }: NewJobEvent,
): Promise<void> {
  await tx.jobEvent.create({
    data: {
      id: newId('event'),
      teamId: job.teamId,
      jobId: job.id,
      level,
      type,
      message: shortened(message, MAX_EVENT),
      data: data ? json(data) : Prisma.DbNull,
    },
    select: { id: true },
  });
}

export function eventOf({ teamId: _, seq, ...columns }: JobEventRow): JobEvent {
  return { ...(columns as Omit<JobEvent, 'seq'>), seq: Number(seq) };
}
