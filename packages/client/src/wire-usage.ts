/** Usage, prices and budgets as they travel, with the wire's own field names. Times are Unix seconds. */

export type UsageKind =
  | 'trained_tokens'
  | 'device_seconds'
  | 'stored_bytes'
  | 'input_tokens'
  | 'output_tokens';

export interface UsageParams {
  /** The day that it lies in is the first. */
  start_time: number;
  /** Exclusive; default now. */
  end_time?: number;
  /** Some of model, api_key_id, job_id and kind, with commas between. */
  group_by?: string;
  /** Days of a page; default 7. */
  limit?: number;
  /** With a key of the operator: of this team alone. */
  team_id?: string;
}

export interface UsageResult {
  object: 'usage.result';
  /** For the operator; null: your own. */
  team_id: string | null;
  model: string | null;
  api_key_id: string | null;
  job_id: string | null;
  kind: UsageKind | null;
  trained_tokens: number;
  device_seconds: number;
  input_tokens: number;
  output_tokens: number;
  num_model_requests: number;
  /** At the end of the day, or now. */
  stored_bytes: number;
  stored_gib_days: number;
  cost: number;
}

export interface UsageBucket {
  object: 'bucket';
  start_time: number;
  end_time: number;
  results: UsageResult[];
}

export interface UsagePage {
  object: 'page';
  data: UsageBucket[];
  has_more: boolean;
  next_page: string | null;
}

export interface Budget {
  object: 'budget';
  team_id: string;
  monthly: number;
  spent: number;
  state: 'within' | 'warning' | 'exceeded';
  warn_at: number;
  stops: boolean;
  start_time: number;
  resets_at: number;
}

export interface UsagePrice {
  id: string;
  object: 'usage.price';
  created_at: number;
  kind: UsageKind;
  /** A base model; `*`: all. */
  model: string;
  price: number;
  unit: string;
  valid_from: number;
}
