/** Reports about the contents of a file, and the tokens that a base model would be trained on. */
export type {
  FileReport,
  FileReportChats as ReportChats,
  FileReportJudgements as ReportJudgements,
  FileReportPairs as ReportPairs,
  FileReportResult as ReportResult,
  FileReportTokens as ReportTokens,
} from './generated/wire.ts';
