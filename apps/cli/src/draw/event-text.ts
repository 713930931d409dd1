import { printable } from './printable.ts';

/** The message of a job's event, with its level where that is not `info`. */
export const eventText = ({ level, message }: { level: string; message: string }): string =>
  `${level === 'info' ? '' : `${level}: `}${printable(message)}`;
