/** Reports about the contents of a file, and the tokens that a base model would be trained on. */
export type {
  FileReport,
  FileReportChats as ReportChats,
  FileReportResult as ReportResult,
  FileReportTokens as ReportTokens,
} from './generated/wire.ts';
