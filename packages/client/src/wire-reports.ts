/** What a file holds, and what a base model would learn from it. */
export type {
  FileReport,
  FileReportResult as ReportResult,
  FileReportTokens as ReportTokens,
} from './generated/wire.ts';
