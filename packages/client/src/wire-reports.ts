/** What a file holds, and what a base model would learn from it. Lists of lines have a hundred at most; counts are of all. */
export interface FileReport {
  object: 'file.report';
  file_id: string;
  model: string | null;
  /** As asked for. */
  max_seq_length: number | null;
  status: 'running' | 'ready' | 'failed';
  progress: { bytes: number; total_bytes: number; examples: number } | null;
  /** Once it is ready. */
  report: ReportResult | null;
  error: { code: string; message: string; param: string | null } | null;
  created_at: number;
  finished_at: number | null;
}

export interface ReportResult {
  format: string | null;
  /** Empty ones included. */
  lines: number;
  examples: number;
  bad_lines: { count: number; listed: { line: number; message: string }[] };
  /** Examples that an earlier line has. `exact`: false when there are too many to tell one by one. */
  duplicates: { count: number; exact: boolean; listed: { line: number; first_line: number }[] };
  /** Null: no model was named. */
  tokens: ReportTokens | null;
}

export interface ReportTokens {
  /** What the model would be trained for, such as CAUSAL_LM. */
  task: string;
  /** Of all examples, as one epoch counts them. */
  total: number;
  /** That the loss is computed on; null where it is not on tokens. */
  learnt: number | null;
  lengths: {
    min: number;
    max: number;
    mean: number;
    p50: number;
    p90: number;
    p99: number;
    /** `from` and `to` are included. */
    histogram: { from: number; to: number; examples: number }[];
  } | null;
  max_seq_length: number;
  /** Examples over `max_seq_length`, which a job would refuse. */
  too_long: { count: number; listed: { line: number; tokens: number }[] };
  preview: {
    line: number;
    /** Of a whole text. */
    label: string | null;
    sequences: {
      role: 'text' | 'input' | 'target';
      tokens: { id: number; text: string; learnt: boolean }[];
      /** Tokens that are not shown. */
      left_out: number;
    }[];
  }[];
}
