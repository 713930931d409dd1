/** Reports about the contents of a file, and the tokens that a base model would be trained on. */
export type {
  FileReport,
  FileReportResult as ReportResult,
  FileReportTokens as ReportTokens,
} from './generated/wire.ts';
