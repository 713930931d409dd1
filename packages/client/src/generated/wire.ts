// Made by `npm run openapi` from the document of the API. Changes belong in its schemas.

export interface AcceptInvitation {
  token: string;
  email?: string;
  name?: string;
}

export interface AcceptInvitationAsMe {
  token: string;
}

export interface AcceptedInvitation {
  object: 'invitation.accepted';
  team: {
    id: string;
    name: string;
  };
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role: 'viewer' | 'member' | 'admin';
  person: {
    id: string;
    email: string;
    name: string;
  };
  key_id: string;
  /** The person's key for this team. It is shown this once. */
  key: string;
}

export interface Adapter {
  id: string;
  object: 'adapter';
  /** Unix seconds. */
  created_at: number;
  /** The jobs' suffix, the name of an upload, or a short random one. */
  name: string;
  base_model: string;
  latest_version: number | null;
  note: string | null;
  /** By name. */
  tags: {
    tag: string;
    /** `ft:{base}:{team}:{adapter}:{tag}` */
    model: string;
    /** The version that it points at. */
    version: number;
  }[];
}

export interface AdapterComparison {
  object: 'adapter.comparison';
  a: AdapterVersion;
  b: AdapterVersion;
  /** The files are the same, byte for byte. */
  identical: boolean;
  /** Options of the method that differ; a side without one has no value. */
  config: {
    field: string;
    a?: unknown;
    b?: unknown;
  }[];
  /** The same of base model, data, training and code. */
  lineage: {
    field: string;
    a?: unknown;
    b?: unknown;
  }[];
  metrics: {
    name: string;
    a: number | null;
    b: number | null;
    /** b − a */
    difference: number | null;
  }[];
  files: {
    path: string;
    status: 'same' | 'changed' | 'only_a' | 'only_b';
    a: {
      bytes: number;
      sha256: string;
    } | null;
    b: {
      bytes: number;
      sha256: string;
    } | null;
  }[];
}

export interface AdapterLineage {
  object: 'adapter.lineage';
  nodes: {
    id: string;
    type: 'base_model' | 'adapter_version' | 'job' | 'file' | 'checkpoint';
    /** Null: deleted; no details are available. */
    label: string | null;
    /** Of a version that is there. */
    version: {
      adapter_id: string;
      adapter_name: string;
      number: number;
    } | null;
    /** Unix seconds. */
    created_at: number | null;
  }[];
  edges: {
    from: string;
    to: string;
    kind: 'starts' | 'feeds' | 'makes';
  }[];
  /** There are more: at most 200 versions and 500 checkpoints are listed. */
  truncated: boolean;
}

export interface AdapterTag {
  id: string;
  object: 'adapter.tag';
  /** Unix seconds. */
  created_at: number;
  /** Unix seconds. */
  moved_at: number;
  adapter_id: string;
  tag: string;
  /** `ft:{base}:{team}:{adapter}:{tag}`: completions take it as `model`. */
  model: string;
  /** The version that it points at. */
  version: number;
}

export interface AdapterVersion {
  id: string;
  object: 'adapter.version';
  /** Unix seconds. */
  created_at: number;
  adapter_id: string;
  adapter_name: string;
  version: number;
  /** What completions take as `model`. */
  model: string;
  base_model: string;
  /** Null: it was made elsewhere and uploaded. */
  fine_tuning_job_id: string | null;
  /** Id of the version that its training started from; null: the base model. */
  parent_id: string | null;
  /** Names of the tags that point at it. */
  tags: string[];
  note: string | null;
  /** SHA-256 over the sorted lines `<sha256> <bytes> <path>` of the files. */
  digest: string;
  bytes: number;
  files: {
    path: string;
    bytes: number;
    sha256: string;
  }[];
  peft: PeftConfig;
  /** What takes its files as they are, Graft first; `llama.cpp (converted)` after its own converter. */
  runtimes: string[];
  /** The system message that every example of its training began with: send it with each chat. Null: the examples began differently or without one, or it was uploaded. */
  system_prompt: string | null;
  /** Digests of base model, data and code; seed; the configuration used. */
  lineage: Record<string, unknown>;
  metrics: Record<string, unknown> | null;
  /** Path of the tar of its files on this server. */
  download_path: string;
}

export interface AddBaseModel {
  /** What requests will name as `model`. */
  id: string;
  /** Absolute, and the same on every machine. One of folder, hub and s3. */
  folder?: string;
  /** `organisation/name` */
  hub?: string;
  /** `s3://bucket/prefix` */
  s3?: string;
  /** Of the Hub: branch, tag or commit. */
  revision?: string;
  /** The GGUF file to take, where there are several. */
  file?: string;
  /** Ids of the only teams that find it. Absent: all do. */
  teams?: string[];
}

export interface AllowBaseModel {
  /** Only these and those allowed before; null: every team. */
  teams: string[] | null;
}

export interface ApiKey {
  /** The middle part of `graft_<id>_<secret>`. */
  id: string;
  object: 'api_key';
  /** Unix seconds. */
  created_at: number;
  name: string;
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role: 'viewer' | 'member' | 'admin';
  /** Null: all that the role may. */
  scopes: string[] | null;
  /** Names of models, or their beginnings with a `*` behind. Null: all. */
  models: string[] | null;
  /** Whose key it is. Null: the team's own. */
  person_id: string | null;
  /** A person or a key. Null: the operator. */
  created_by: string | null;
  /** The key by which it was made, also by a session of that key: revoking that one ends this one. */
  made_by_key: string | null;
  /** To the minute. */
  last_used_at: number | null;
  /** Null: it does not end by itself. */
  expires_at: number | null;
  /** The key that was made from it by rotation. */
  replaced_by: string | null;
  /** Unix seconds. */
  rotated_at: number | null;
  /** Unix seconds. */
  revoked_at: number | null;
}

export interface AuditChain {
  /** A team, or `installation` for entries of no team. */
  id: string;
  object: 'audit.chain';
  /** Number of entries. */
  sequence: number;
  /** Hash of the last entry. */
  hash: string;
}

export interface AuditCheck {
  /** The chain. */
  id: string;
  object: 'audit.check';
  /** All entries up to here are in order. */
  last_sequence: number;
  last_hash: string;
  /** False: continue with `after`, the last sequence. True: the end, or a fault. */
  done: boolean;
  /** The first entry that is not in order. */
  fault: AuditFault | null;
}

export interface AuditEntry {
  id: string;
  object: 'audit.entry';
  /** Unix seconds. */
  created_at: number;
  /** `<resource>.<verb>`. */
  action: string;
  /** What it was done to. */
  target: string;
  /** The key that acted. */
  key_id: string | null;
  /** The person who acted, by a key or signed in. Of a key of the team: null. */
  person_id: string | null;
  /** Who acted where neither a key nor a person did: `graft_admin`, the command on the service’s machine, or `graft` itself. Null in entries of earlier versions. */
  system: string | null;
  /** What is known of it, by the action. Null: nothing more. */
  detail: unknown;
  /** Its place in the team’s chain, from 1 and without gaps. */
  sequence: number;
  /** SHA-256 in hexadecimal over the previous entry’s hash and this entry’s content. docs/teams.md describes how to check it. */
  hash: string;
}

export interface AuditFault {
  sequence: number;
  /** Null: the entry is missing. */
  entry_id: string | null;
  /** `missing`: no entry has this number. `changed`: its content or the hash before it is another than when it was written. `unsealed`: it was added past the chain. `head`: entries at the end are missing. */
  reason: 'missing' | 'changed' | 'unsealed' | 'head';
}

export interface BaseModel {
  /** What requests name as `model`. */
  id: string;
  object: 'base_model';
  /** `operator`: of the file GRAFT_BASE_MODELS. */
  source: 'bundled' | 'operator' | 'folder' | 'hub' | 's3';
  /** Folder, Hub id or `s3://` prefix of one that was added. */
  location: string | null;
  revision: string | null;
  /** Of the Hub: what the revision meant when it was fetched. */
  commit: string | null;
  file: string | null;
  /** `configured`: not added, but of the configuration. Teams find those and the ones that are `ready`. */
  state: 'configured' | 'queued' | 'fetching' | 'ready' | 'failed';
  model_type: string | null;
  /** Fetched so far; updated about every second. */
  bytes_done: number;
  /** Null: not known yet. */
  bytes_total: number | null;
  /** What it is read from, once it is ready. */
  files: {
    path: string;
    bytes: number;
    sha256: string;
  }[] | null;
  weights_sha256: string | null;
  /** Why it failed; of one that is queued, why the last attempt did. */
  error: {
    code: string;
    message: string;
  } | null;
  /** No team sees it; jobs and adapters that use it keep working. */
  hidden: boolean;
  /** Only the teams of `allowed_teams` find it. */
  limited: boolean;
  allowed_teams: string[];
  denied_teams: string[];
  /** Person or key; null: the configuration, or `graft admin base-models add-unlisted`. */
  added_by: string | null;
  /** Unix seconds. */
  created_at: number | null;
  /** Unix seconds. */
  started_at: number | null;
  /** Unix seconds. */
  finished_at: number | null;
}

/** Bottleneck adapters. Other options of the `adapters` library's BnConfig are accepted at their default only. */
export interface BottleneckConfig {
  /** The PEFT method. */
  peft_type: 'BOTTLENECK';
  /** What the model is trained to do. */
  task_type: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  /** Values for the fields that are left out. seq_bn (Pfeiffer; taken when there is none): after the feed-forward network. double_seq_bn (Houlsby): after attention too. par_bn: beside the feed-forward network. null: no preset; mh_adapter, output_adapter, reduction_factor and non_linearity are required. */
  preset?: 'seq_bn' | 'double_seq_bn' | 'par_bn' | null;
  /** An adapter after the self-attention of each layer. */
  mh_adapter: boolean;
  /** An adapter after the feed-forward network of each layer. */
  output_adapter: boolean;
  /** An adapter after the cross-attention of each decoder layer. */
  cross_adapter: boolean;
  /** The layer's width divided by the bottleneck's. An object gives it by layer ("0", "1", …; "default" for the others). */
  reduction_factor: number | Record<string, number>;
  /** The bottleneck's activation. */
  non_linearity: 'relu' | 'gelu' | 'gelu_new' | 'gelu_pytorch_tanh' | 'quick_gelu' | 'silu' | 'swish' | 'tanh' | 'sigmoid' | 'leaky_relu' | 'leakyrelu' | 'linear';
  /** Add the layer's residual (and apply its norm, in a post-norm model) before the adapter. Not for is_parallel. */
  original_ln_before: boolean;
  /** Add the layer's residual (and apply its norm, in a post-norm model) after the adapter. */
  original_ln_after: boolean;
  /** A new norm before the bottleneck. */
  ln_before: boolean;
  /** A new norm after the bottleneck. */
  ln_after: boolean;
  /** Where the residual around the bottleneck starts: true, at the sublayer's output; false, behind the residual and norm of original_ln_before; "post_add", between these two (post-norm models). */
  residual_before_ln: boolean | 'post_add';
  /** Add the residual around the bottleneck before the norm of ln_after instead of behind it. */
  adapter_residual_before_ln: boolean;
  /** Feed the adapter with the sublayer's input instead of its output. */
  is_parallel: boolean;
  /** Factor of the adapter's output: a number, "learned", or "channel" (one learned for each channel). */
  scaling: number | 'learned' | 'channel';
  /** Probability that an element of the adapter's output is dropped during training. */
  dropout: number;
  /** Layers (0-based; a decoder's after its encoder's) that get no adapter. */
  leave_out: number[];
  /** Start values. bert: normal with deviation 0.02. mam_adapter: Kaiming-uniform down, zeros up. houlsby: normal with deviation 0.01, cut at two deviations. */
  init_weights: 'bert' | 'mam_adapter' | 'houlsby';
  /** Modules trained in full and saved with the adapter, by the end of their name. */
  modules_to_save: string[] | null;
}

export interface Budget {
  object: 'budget';
  team_id: string;
  /** For a calendar month of UTC, in the operator's money. */
  monthly: number;
  /** This month. */
  spent: number;
  state: 'within' | 'warning' | 'exceeded';
  /** Share of the budget at which the team is warned. */
  warn_at: number;
  /** Whether no job, resumed job or completion begins once it is spent. */
  stops: boolean;
  /** Unix seconds. */
  start_time: number;
  /** Unix seconds. */
  resets_at: number;
}

export interface ChatCompletion {
  id: string;
  object: 'chat.completion';
  /** Unix seconds. */
  created: number;
  model: string;
  choices: {
    index: number;
    message: {
      role: 'assistant';
      content: string;
      refusal: null;
    };
    /** Null unless requested. */
    logprobs: {
      content: {
        token: string;
        /** Natural logarithm of its probability, at temperature 1. */
        logprob: number;
        /** The token's text in UTF-8; null where it is a part of a character alone. */
        bytes: number[] | null;
        /** The most probable first. */
        top_logprobs: {
          token: string;
          /** Natural logarithm of its probability, at temperature 1. */
          logprob: number;
          /** The token's text in UTF-8; null where it is a part of a character alone. */
          bytes: number[] | null;
        }[];
      }[];
      refusal: null;
    } | null;
    finish_reason: 'stop' | 'length';
  }[];
  usage: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details?: {
      /** Of the prompt: they were known from an earlier request, and were not computed again. */
      cached_tokens: number;
    };
  };
}

export interface ChatCompletionChunk {
  id: string;
  object: 'chat.completion.chunk';
  /** Unix seconds. */
  created: number;
  model: string;
  /** Empty in the chunk with the usage. */
  choices: {
    index: number;
    delta: {
      role?: 'assistant';
      content?: string;
      refusal?: null;
    };
    /** Of the tokens in this chunk. */
    logprobs: {
      content: {
        token: string;
        /** Natural logarithm of its probability, at temperature 1. */
        logprob: number;
        /** The token's text in UTF-8; null where it is a part of a character alone. */
        bytes: number[] | null;
        /** The most probable first. */
        top_logprobs: {
          token: string;
          /** Natural logarithm of its probability, at temperature 1. */
          logprob: number;
          /** The token's text in UTF-8; null where it is a part of a character alone. */
          bytes: number[] | null;
        }[];
      }[];
      refusal: null;
    } | null;
    /** Null until the last chunk of a choice. */
    finish_reason: 'stop' | 'length' | null;
  }[];
  /** With `stream_options.include_usage`. */
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details?: {
      /** Of the prompt: they were known from an earlier request, and were not computed again. */
      cached_tokens: number;
    };
  } | null;
}

export interface ChooseTeam {
  /** By id or name. */
  team: string;
}

/** What is absent is as in that job, its seed too; `seed: null` draws a new one. Of `peft`, `training` and the hyperparameters those options change that are given; a `peft` of another `peft_type` replaces it. */
export interface CloneFineTuningJob {
  /** Id of a base model, see GET /v1/models; or a fine-tuned model to continue from, as `start_from`. */
  model?: string;
  /** Adapter version of the same base model to continue from, instead of new weights: the name of a model (`ft:…`) or of a tag (`ft:…:production`), or the id of a version. Training uses its `peft`; omit it here. */
  start_from?: string | null;
  /** Id of an uploaded JSONL file. */
  training_file?: string;
  validation_file?: string | null;
  /** Part of the name of the fine-tuned model, and the name of its adapter. */
  suffix?: string | null;
  seed?: number | null;
  /** Up to 16 pairs of text: keys of at most 64 characters, values of at most 512. */
  metadata?: Record<string, string> | null;
  /** Among your team's own jobs: `high` goes before those of normal priority created up to a day before it, and so `normal` before `low`. Other teams never wait longer for it. */
  priority?: 'low' | 'normal' | 'high' | null;
  method?: {
    /** Available: `supervised`. */
    type: 'supervised';
    supervised?: {
      hyperparameters?: Hyperparameters;
    };
    /** Not available. */
    dpo?: null;
    /** Not available. */
    reinforcement?: null;
  };
  hyperparameters?: Hyperparameters;
  /** Where metrics are sent while the job runs: one of each type, which an admin has set up. */
  integrations?: JobIntegration[] | null;
  peft?: PeftRequest;
  training?: TrainingOptions;
  sweep?: Sweep | null;
}

export interface CompleteUpload {
  /** In the order in which the parts make the file. */
  part_ids: string[];
  /** Of the whole file, hexadecimal. */
  md5?: string;
}

export interface Completion {
  id: string;
  object: 'text_completion';
  /** Unix seconds. */
  created: number;
  model: string;
  choices: {
    index: number;
    text: string;
    /** Null unless requested. */
    logprobs: {
      tokens: string[];
      token_logprobs: number[];
      top_logprobs: Record<string, number>[];
      /** Where each token begins in the text. */
      text_offset: number[];
    } | null;
    finish_reason: 'stop' | 'length';
  }[];
  usage: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details?: {
      /** Of the prompt: they were known from an earlier request, and were not computed again. */
      cached_tokens: number;
    };
  };
}

export interface CompletionChunk {
  id: string;
  object: 'text_completion';
  /** Unix seconds. */
  created: number;
  model: string;
  /** Empty in the chunk with the usage. */
  choices: {
    index: number;
    text: string;
    /** Null unless requested. */
    logprobs: {
      tokens: string[];
      token_logprobs: number[];
      top_logprobs: Record<string, number>[];
      /** Where each token begins in the text. */
      text_offset: number[];
    } | null;
    /** Null until the last piece of a choice. */
    finish_reason: 'stop' | 'length' | null;
  }[];
  /** With `stream_options.include_usage`. */
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details?: {
      /** Of the prompt: they were known from an earlier request, and were not computed again. */
      cached_tokens: number;
    };
  } | null;
}

export interface CreateApiKey {
  /** What it is for. */
  name: string;
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role?: 'viewer' | 'member' | 'admin';
  /** `<resource>:read|write`. Null: all that the role may. Absent: the caller's. */
  scopes?: string[] | null;
  /** Models that it may train on and call: names, or beginnings with a `*` behind (`ft:tiny:*`). Null: all. Absent: the caller's. */
  models?: string[] | null;
  /** Seconds. */
  expires_in?: number | null;
  /** `person`: the caller's own, which ends with their membership. `team`: stays when people go; only admins make them. Default: person, for a caller who is one. */
  owner?: 'person' | 'team';
}

export interface CreateChatCompletion {
  /** A base model or a fine-tuned model (`ft:…`), see GET /v1/models. */
  model: string;
  max_tokens?: number | null;
  /** 0 is greedy. Default: what `generation_config` decides, else 1. */
  temperature?: number | null;
  /** Default: what `generation_config` decides, else 1. */
  top_p?: number | null;
  /** Samples from this many of the most probable tokens; 0 and -1: all. Default: as in `generation_config`, otherwise all. */
  top_k?: number | null;
  /** Tokens of less than this share of the most probable one's probability are left out. Default: what `generation_config` decides, else 0. */
  min_p?: number | null;
  /** Above 1, tokens that are in the prompt or the answer are less probable, below 1 more; greedy answers too. Default: what `generation_config` decides, else 1. */
  repetition_penalty?: number | null;
  /** What decides sampling parameters that the request does not have: the base model's generation_config.json, or nothing but OpenAI's defaults. Default: the server's `GRAFT_GENERATION_CONFIG`, which is `model` unless the operator has set it. */
  generation_config?: 'model' | 'none' | null;
  stop?: string | string[] | null;
  seed?: number | null;
  /** Answers. Default 1. */
  n?: number | null;
  /** Answer with server-sent events. */
  stream?: boolean | null;
  stream_options?: {
    include_usage?: boolean;
    include_obfuscation?: boolean;
  } | null;
  /** Special tokens such as <|im_end|> in the prompt, or in the content of messages, are tokens. Default false: they are plain text, so that no content can forge a turn. */
  allow_special_tokens?: boolean | null;
  /** Accepted and not used. */
  user?: string | null;
  messages: {
    role: 'system' | 'developer' | 'user' | 'assistant';
    /** Text, or parts of text that are joined. */
    content: string | {
      type: 'text';
      text: string;
    }[];
    /** Accepted and not used. */
    name?: string;
    /** Accepted only when null or empty. */
    annotations?: unknown[] | null;
    /** Accepted only when null or empty. */
    audio?: unknown[] | null;
    /** Accepted only when null or empty. */
    function_call?: unknown[] | null;
    /** Accepted only when null or empty. */
    refusal?: unknown[] | null;
    /** Accepted only when null or empty. */
    tool_calls?: unknown[] | null;
  }[];
  /** Accepted and not used. */
  prompt_cache_key?: string | null;
  /** Accepted and not used. */
  prompt_cache_retention?: string | null;
  /** Accepted and not used. */
  safety_identifier?: string | null;
  /** Return the log probability of each token of the answer. */
  logprobs?: boolean | null;
  /** With `logprobs`: number of the most probable tokens to return for each position. */
  top_logprobs?: number | null;
  /** Variables of the chat template, such as {"enable_thinking": false}: JSON of at most 4,096 bytes, none of them what a template gets from elsewhere, as `messages`. Beside them count those that an adapter was trained with (`training.chat_template_kwargs`). */
  chat_template_kwargs?: Record<string, unknown> | null;
  max_completion_tokens?: number | null;
  /** Not available; accepted only at a value that changes nothing. */
  audio?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  frequency_penalty?: 0 | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  function_call?: 'none' | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  functions?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  logit_bias?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  metadata?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  modalities?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  moderation?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  parallel_tool_calls?: true | false | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  prediction?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  presence_penalty?: 0 | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  prompt_cache_options?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  reasoning_effort?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  response_format?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  service_tier?: 'auto' | 'default' | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  store?: false | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  tool_choice?: 'none' | 'auto' | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  tools?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  verbosity?: 'medium' | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  web_search_options?: never[] | Record<string, never> | null;
}

export interface CreateCompletion {
  /** A base model or a fine-tuned model (`ft:…`), see GET /v1/models. */
  model: string;
  max_tokens?: number | null;
  /** 0 is greedy. Default: what `generation_config` decides, else 1. */
  temperature?: number | null;
  /** Default: what `generation_config` decides, else 1. */
  top_p?: number | null;
  /** Samples from this many of the most probable tokens; 0 and -1: all. Default: as in `generation_config`, otherwise all. */
  top_k?: number | null;
  /** Tokens of less than this share of the most probable one's probability are left out. Default: what `generation_config` decides, else 0. */
  min_p?: number | null;
  /** Above 1, tokens that are in the prompt or the answer are less probable, below 1 more; greedy answers too. Default: what `generation_config` decides, else 1. */
  repetition_penalty?: number | null;
  /** What decides sampling parameters that the request does not have: the base model's generation_config.json, or nothing but OpenAI's defaults. Default: the server's `GRAFT_GENERATION_CONFIG`, which is `model` unless the operator has set it. */
  generation_config?: 'model' | 'none' | null;
  stop?: string | string[] | null;
  seed?: number | null;
  /** Answers. Default 1. */
  n?: number | null;
  /** Answer with server-sent events. */
  stream?: boolean | null;
  stream_options?: {
    include_usage?: boolean;
    include_obfuscation?: boolean;
  } | null;
  /** Special tokens such as <|im_end|> in the prompt, or in the content of messages, are tokens. Default false: they are plain text, so that no content can forge a turn. */
  allow_special_tokens?: boolean | null;
  /** Accepted and not used. */
  user?: string | null;
  /** One text. */
  prompt: string | string[];
  /** Return the log probability of each token of the answer, and of this many of the most probable tokens at its position. */
  logprobs?: number | null;
  /** Not available; accepted only at a value that changes nothing. */
  best_of?: 1 | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  echo?: false | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  frequency_penalty?: 0 | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  logit_bias?: never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  presence_penalty?: 0 | never[] | Record<string, never> | null;
  /** Not available; accepted only at a value that changes nothing. */
  suffix?: '' | never[] | Record<string, never> | null;
}

/** Without `peft`: {"peft_type":"LORA","r":16,"lora_alpha":64,"target_modules":"all-linear"}, with a lower rank if the team’s `max_rank` is lower; a `peft` of only `peft_type` LORA trains the same. Without `training`, everything is chosen automatically and shown in the job. */
export interface CreateFineTuningJob {
  /** Id of a base model, see GET /v1/models; or a fine-tuned model to continue from, as `start_from`. */
  model: string;
  /** Adapter version of the same base model to continue from, instead of new weights: the name of a model (`ft:…`) or of a tag (`ft:…:production`), or the id of a version. Training uses its `peft`; omit it here. */
  start_from?: string | null;
  /** Id of an uploaded JSONL file. */
  training_file: string;
  validation_file?: string | null;
  /** Part of the name of the fine-tuned model, and the name of its adapter. */
  suffix?: string | null;
  seed?: number | null;
  /** Up to 16 pairs of text: keys of at most 64 characters, values of at most 512. */
  metadata?: Record<string, string> | null;
  /** Among your team's own jobs: `high` goes before those of normal priority created up to a day before it, and so `normal` before `low`. Other teams never wait longer for it. */
  priority?: 'low' | 'normal' | 'high' | null;
  method?: {
    /** Available: `supervised`. */
    type: 'supervised';
    supervised?: {
      hyperparameters?: Hyperparameters;
    };
    /** Not available. */
    dpo?: null;
    /** Not available. */
    reinforcement?: null;
  };
  hyperparameters?: Hyperparameters;
  /** Where metrics are sent while the job runs: one of each type, which an admin has set up. */
  integrations?: JobIntegration[] | null;
  peft?: PeftRequest;
  training?: TrainingOptions;
  sweep?: Sweep | null;
}

export interface CreateInvitation {
  /** Only a person with this email can accept it. Null: anyone with the link. */
  email?: string | null;
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role?: 'viewer' | 'member' | 'admin';
  /** Seconds. */
  expires_in?: number;
}

export interface CreateOperatorKey {
  /** What it is for. */
  name: string;
  person_id?: string | null;
  /** Seconds. */
  expires_in?: number | null;
}

export interface CreatePerson {
  email: string;
  name: string;
  is_operator?: boolean;
}

export interface CreateTeam {
  name: string;
  running_limit?: number;
  weight?: number;
}

export interface CreateTeamKey {
  /** What it is for. */
  name: string;
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role?: 'viewer' | 'member' | 'admin';
  /** `<resource>:read|write`. Null: all that the role may. Absent: all. */
  scopes?: string[] | null;
  /** Models that it may train on and call: names, or beginnings with a `*` behind (`ft:tiny:*`). Null: all. Absent: all. */
  models?: string[] | null;
  /** A member whose key it is. Null: the team's own. */
  person_id?: string | null;
  /** Seconds. */
  expires_in?: number | null;
}

export interface CreateUpload {
  filename: string;
  purpose: 'fine-tune';
  bytes: number;
  /** `text/jsonl`, say. What counts is whether the lines are examples. */
  mime_type: string;
  /** Not available: files are kept. */
  expires_after?: unknown;
}

export interface CreateWebhookEndpoint {
  /** https, port 443 or 8443, a host on the internet. What else may be reached, the operator opens (GRAFT_WEBHOOK_ALLOW). */
  url: string;
  /** For people. */
  description?: string | null;
  /** Types it gets. */
  events?: ('fine_tuning.job.succeeded' | 'fine_tuning.job.failed' | 'fine_tuning.job.cancelled' | 'fine_tuning.job.running' | 'fine_tuning.job.paused' | 'budget.warning' | 'budget.exceeded')[];
}

export interface CreatedApiKey {
  /** The middle part of `graft_<id>_<secret>`. */
  id: string;
  object: 'api_key';
  /** Unix seconds. */
  created_at: number;
  name: string;
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role: 'viewer' | 'member' | 'admin';
  /** Null: all that the role may. */
  scopes: string[] | null;
  /** Names of models, or their beginnings with a `*` behind. Null: all. */
  models: string[] | null;
  /** Whose key it is. Null: the team's own. */
  person_id: string | null;
  /** A person or a key. Null: the operator. */
  created_by: string | null;
  /** The key by which it was made, also by a session of that key: revoking that one ends this one. */
  made_by_key: string | null;
  /** To the minute. */
  last_used_at: number | null;
  /** Null: it does not end by itself. */
  expires_at: number | null;
  /** The key that was made from it by rotation. */
  replaced_by: string | null;
  /** Unix seconds. */
  rotated_at: number | null;
  /** Unix seconds. */
  revoked_at: number | null;
  /** The whole key. It is shown this once. */
  key: string;
}

export interface CreatedInvitation {
  id: string;
  object: 'team.invitation';
  /** Unix seconds. */
  created_at: number;
  /** Null: anyone with the link can accept it. */
  email: string | null;
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role: 'viewer' | 'member' | 'admin';
  /** A person or a key. Null: the operator. */
  created_by: string | null;
  /** Unix seconds. */
  expires_at: number;
  /** Unix seconds. */
  accepted_at: number | null;
  accepted_by: string | null;
  /** Unix seconds. */
  revoked_at: number | null;
  /** For the link, `graft join`. It is shown this once. */
  token: string;
}

export interface CreatedOperatorKey {
  /** The middle part of `graft_<id>_<secret>`. */
  id: string;
  object: 'operator_key';
  /** Unix seconds. */
  created_at: number;
  name: string;
  /** Null: the service's own. */
  person_id: string | null;
  created_by: string | null;
  /** Unix seconds. */
  last_used_at: number | null;
  /** Unix seconds. */
  expires_at: number | null;
  /** Unix seconds. */
  revoked_at: number | null;
  /** The whole key. It is shown this once. */
  key: string;
}

export interface DeletedAdapter {
  id: string;
  object: 'adapter';
  deleted: true;
  /** How many versions were deleted. */
  versions: number;
}

export interface DeletedAdapterTag {
  adapter_id: string;
  object: 'adapter.tag';
  tag: string;
  deleted: true;
}

export interface DeletedAdapterVersion {
  id: string;
  object: 'adapter.version';
  /** Unix seconds. */
  created_at: number;
  adapter_id: string;
  adapter_name: string;
  version: number;
  /** What completions take as `model`. */
  model: string;
  base_model: string;
  /** Null: it was made elsewhere and uploaded. */
  fine_tuning_job_id: string | null;
  /** Id of the version that its training started from; null: the base model. */
  parent_id: string | null;
  /** Names of the tags that point at it. */
  tags: string[];
  note: string | null;
  /** SHA-256 over the sorted lines `<sha256> <bytes> <path>` of the files. */
  digest: string;
  bytes: number;
  files: {
    path: string;
    bytes: number;
    sha256: string;
  }[];
  peft: PeftConfig;
  /** What takes its files as they are, Graft first; `llama.cpp (converted)` after its own converter. */
  runtimes: string[];
  /** The system message that every example of its training began with: send it with each chat. Null: the examples began differently or without one, or it was uploaded. */
  system_prompt: string | null;
  /** Digests of base model, data and code; seed; the configuration used. */
  lineage: Record<string, unknown>;
  metrics: Record<string, unknown> | null;
  /** Path of the tar of its files on this server. */
  download_path: string;
  /** Unix seconds. */
  deleted_at: number;
  /** Unix seconds. */
  restorable_until: number;
}

export interface DeletedApiKey {
  id: string;
  object: 'api_key';
  deleted: true;
  /** What the revocation ended, and what it left: at most 1,000 ids of each kind. */
  revoked: {
    /** Keys that stopped working, the asked one first unless it was revoked before. */
    keys: string[];
    /** Keys descended from it that still work: kept on request, or others’, which only an admin revokes. */
    kept: string[];
    /** Invitations whose links stopped working. */
    invitations: string[];
    /** Webhook endpoints that were disabled; they can be enabled again. */
    webhooks: string[];
    /** People who joined by an invitation of these keys and are still members: check them. */
    members: string[];
  };
}

export interface DeletedBaseModel {
  id: string;
  object: 'base_model';
  deleted: true;
}

export interface DeletedBudget {
  team_id: string;
  object: 'budget';
  deleted: true;
}

export interface DeletedCheckpoint {
  id: string;
  object: 'fine_tuning.job.checkpoint';
  deleted: true;
}

export interface DeletedFile {
  id: string;
  object: 'file';
  deleted: true;
}

export interface DeletedFineTuningJob {
  id: string;
  object: 'fine_tuning.job';
  deleted: true;
}

export interface DeletedIntegration {
  id: string;
  object: 'integration';
  deleted: true;
}

export interface DeletedModel {
  id: string;
  object: 'model';
  deleted: true;
}

export interface DeletedOperatorKey {
  id: string;
  object: 'operator_key';
  deleted: true;
}

export interface DeletedTeam {
  id: string;
  object: 'team';
  deleted: true;
}

export interface DeletedUsagePrice {
  id: string;
  object: 'usage.price';
  deleted: true;
}

export interface DeletedWebhookEndpoint {
  id: string;
  object: 'webhook.endpoint';
  deleted: true;
}

export interface DenyBaseModel {
  teams: string[];
}

export interface EndedSession {
  id: string;
  object: 'session';
  deleted: true;
}

export interface EndedSessions {
  object: 'sessions.ended';
  count: number;
}

export interface ErasedPerson {
  id: string;
  object: 'person';
  deleted: true;
}

export interface Error {
  error: {
    /** For people. Lists every fault that was found. */
    message: string;
    /** invalid_request_error, rate_limit_error or server_error. */
    type: string;
    /** The (first) parameter at fault. */
    param: string | null;
    /** One of the stable codes listed in the description of this API. */
    code: string;
    /** Each fault by itself, where there may be several: of fields at most 20, of lines at most 100, each with all lines that have it. */
    details?: {
      /** The parameter at fault. */
      param?: string;
      /** Of a file: the line, or the first of several with this fault. */
      line?: number;
      message: string;
      /** Where several lines have it: how many. */
      count?: number;
      /** Which lines they are, as ranges from first to last, both included. Of very many the later ones are left out. */
      lines?: number[][];
    }[];
  };
}

export interface EstimateFineTuningJob {
  /** Id of a base model, see GET /v1/models; or a fine-tuned model to continue from, as `start_from`. */
  model: string;
  /** Adapter version of the same base model to continue from, instead of new weights: the name of a model (`ft:…`) or of a tag (`ft:…:production`), or the id of a version. Training uses its `peft`; omit it here. */
  start_from?: string | null;
  /** Id of an uploaded JSONL file. */
  training_file: string;
  validation_file?: string | null;
  seed?: number | null;
  method?: {
    /** Available: `supervised`. */
    type: 'supervised';
    supervised?: {
      hyperparameters?: Hyperparameters;
    };
    /** Not available. */
    dpo?: null;
    /** Not available. */
    reinforcement?: null;
  };
  hyperparameters?: Hyperparameters;
  peft?: PeftRequest;
  training?: TrainingOptions;
  sweep?: Sweep | null;
}

export interface File {
  id: string;
  object: 'file';
  bytes: number;
  /** Unix seconds. */
  created_at: number;
  filename: string;
  /** `fine-tune`, or `fine-tune-results` for what Graft made. */
  purpose: string;
  status: 'uploaded' | 'processed' | 'error';
  expires_at: null;
  status_details: null;
  /** Hex digest of the content. */
  sha256: string;
  /** The format of its lines: the name of one of `formats` in `GET /v1/fine_tuning/options`. */
  format: string | null;
  /** Training examples in the file. */
  examples: number | null;
}

export interface FileReport {
  object: 'file.report';
  file_id: string;
  model: string | null;
  /** As requested. */
  max_seq_length: number | null;
  status: 'running' | 'ready' | 'failed';
  progress: {
    bytes: number;
    total_bytes: number;
    examples: number;
  } | null;
  /** Once it is ready. */
  report: FileReportResult | null;
  error: {
    code: string;
    message: string;
    param: string | null;
  } | null;
  /** Unix seconds. */
  created_at: number;
  /** Unix seconds. */
  finished_at: number | null;
}

/** Lists have a hundred entries at most; counts are of all. */
export interface FileReportResult {
  format: string | null;
  /** Empty ones included. */
  lines: number;
  examples: number;
  bad_lines: {
    count: number;
    /** Each fault once, with all lines that have it. */
    listed: {
      line: number;
      message: string;
      /** Where several lines have it: how many. */
      count?: number;
      /** Which lines they are, as ranges from first to last, both included. Of very many the later ones are left out. */
      lines?: number[][];
    }[];
  };
  /** Examples that an earlier line has. */
  duplicates: {
    count: number;
    /** False if there are too many different examples to count exactly. */
    exact: boolean;
    listed: {
      line: number;
      first_line: number;
    }[];
  };
  /** Null when no model was named. */
  tokens: FileReportTokens | null;
}

export interface FileReportTokens {
  /** What the model would be trained for: CAUSAL_LM and so on. */
  task: string;
  /** Of all examples, as one epoch counts them. */
  total: number;
  /** That the loss is computed on; null where it is not on tokens. */
  learnt: number | null;
  /** Of examples, in tokens. */
  lengths: {
    min: number;
    max: number;
    mean: number;
    p50: number;
    p90: number;
    p99: number;
    histogram: {
      from: number;
      /** Included. */
      to: number;
      examples: number;
    }[];
  } | null;
  max_seq_length: number;
  /** Examples over `max_seq_length`. A job splits plain texts and refuses others, or cuts or skips them with `training.overlong`. */
  too_long: {
    count: number;
    listed: {
      line: number;
      tokens: number;
    }[];
  };
  /** Special tokens in the content of messages, in prompts and in completions. A job reads them as plain text, unless `training.allow_special_tokens`. */
  special_tokens: {
    count: number;
    listed: {
      line: number;
      count: number;
    }[];
  };
  /** Three examples as the model sees them. */
  preview: {
    line: number;
    /** Of a whole text. */
    label: string | null;
    sequences: {
      role: 'text' | 'input' | 'target';
      tokens: {
        id: number;
        /** What the token adds to the text. Empty where it is only the beginning of a character, which the token that completes the character shows whole. */
        text: string;
        /** Whether the loss is computed on it. */
        learnt: boolean;
      }[];
      /** Tokens that are not shown: of each sequence the first 512 are. */
      left_out: number;
    }[];
  }[];
}

/** Options for `training`. */
export interface FineTuningChanges {
  batch_size?: number;
  mini_batch_size?: number | null;
  gradient_accumulation_steps?: number;
  gradient_checkpointing?: boolean;
  base_dtype?: string;
  /** Longer examples must be cut first. */
  max_seq_length?: number;
}

export interface FineTuningCheck {
  object: 'fine_tuning.check';
  /** Why such a job would be refused; empty: it would be accepted. */
  faults: {
    /** As the error would have it. */
    code: string;
    message: string;
    /** The field at fault. */
    param: string | null;
  }[];
  /** Its estimate; null if it is refused. */
  plan: FineTuningPlan | null;
}

export interface FineTuningEstimate {
  object: 'fine_tuning.estimate';
  /** Of the adapter. */
  trainable_parameters: number;
  /** The base model’s and these. */
  total_parameters: number;
  /** The most that the process which trains will hold at once; with the device gpu: of its card. */
  peak_memory_bytes: number;
  /** Of all epochs. */
  tokens: number;
  /** Optimizer steps. */
  steps: number;
  /** From its start to the files of the adapter; null where the speed of the worker is not known. */
  seconds: number | null;
  /** Whether a live worker has the memory; null if one does not report its memory. */
  fits: boolean | null;
  /** Any of these would make it fit. Empty when it does, or when nothing helps. */
  changes: {
    training: FineTuningChanges;
    /** With these options. */
    peak_memory_bytes: number;
  }[];
  /** Live workers that could take the job. */
  workers: number;
  /** Maximum memory for a job on one of them; null: none reports it. */
  memory_bytes: number | null;
  /** What the numbers are for. */
  device: 'cpu' | 'gpu';
  /** The same, of matrix products. */
  precision: 'fp32' | 'bf16';
  /** Options of `peft` that are left out and whose defaults in HF PEFT learn less, with what would be better. Of a job that exists its events have them. */
  warnings?: {
    param: string;
    message: string;
  }[];
}

export interface FineTuningJob {
  id: string;
  object: 'fine_tuning.job';
  /** Unix seconds. */
  created_at: number;
  /** The person who created it, or the key if it belongs to no person. Null: unknown. */
  created_by: string | null;
  /** The base model. */
  model: string;
  /** As requested: the name of its adapter. */
  suffix: string | null;
  /** Name of the adapter version that training continues from. */
  start_from: string | null;
  /** The team. */
  organization_id: string;
  status: 'validating_files' | 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';
  training_file: string;
  validation_file: string | null;
  /** The system message that every example of the training file begins with: send it with each chat, since the answers were trained with it. Null: the examples begin differently or without one, or it has more than 16,384 characters. */
  system_prompt: string | null;
  /** `ft:{base}:{team}:{suffix}:{id}`: what /v1/chat/completions takes as `model`. */
  fine_tuned_model: string | null;
  /** Unix seconds. */
  finished_at: number | null;
  /** Set when it ends, however it does: each step once. Null: none was trained. */
  trained_tokens: number | null;
  hyperparameters: Hyperparameters;
  result_files: string[];
  seed: number;
  error: {
    code: string;
    message: string;
    param: string | null;
    /** Who can fix it. */
    fault: 'user' | 'system' | 'environment';
    /** Of lines of a file that cannot be used: the first ten faults, each with the first lines that have it. The report of the file has the rest. */
    details?: {
      /** Of a file: the line, or the first of several with this fault. */
      line?: number;
      message: string;
      /** Where several lines have it: how many. */
      count?: number;
      /** Which lines they are, as ranges from first to last, both included. Of very many the later ones are left out. */
      lines?: number[][];
    }[];
  } | null;
  /** Unix seconds. */
  estimated_finish: number | null;
  integrations: JobIntegration[];
  method: {
    /** Available: `supervised`. */
    type: 'supervised';
    supervised?: {
      hyperparameters?: Hyperparameters;
    };
    /** Not available. */
    dpo?: null;
    /** Not available. */
    reinforcement?: null;
  };
  /** Up to 16 pairs of text: keys of at most 64 characters, values of at most 512. */
  metadata: Record<string, string> | null;
  peft: PeftConfig;
  /** The values used; as requested until the files are validated. Of a sweep as `peft`. */
  training: ResolvedTraining | TrainingOptions;
  /** As requested; its trials are listed apart. Null: one configuration is trained. */
  sweep: Sweep | null;
  /** Why the options of `training` that were left to Graft have their values, and what of `peft` has a default that costs much, by option; null until the files are validated. */
  training_reasons: Record<string, string> | null;
  /** How far the files are read while the status is validating_files. */
  validation: FineTuningJobValidation | null;
  /** What became of the lines of the files; null until they are validated. */
  data: FineTuningJobData | null;
  progress: FineTuningJobProgress | null;
  /** Among the jobs of the team. */
  priority: 'low' | 'normal' | 'high';
  /** When a job that waits should start: in half of the cases by then, going by how long the latest jobs ran. Null while none has run, or no worker takes jobs. */
  estimated_start: number | null;
  /** The same, in nine of ten cases. */
  estimated_start_latest: number | null;
  /** Estimated before it runs; null until the files are validated, or if the estimate failed. */
  estimate: FineTuningEstimate | null;
  /** Null before the job has succeeded, and of one that an earlier version trained. */
  training_end: FineTuningJobTrainingEnd | null;
  /** 1 for the next job; null when it does not wait. Up to a second old. */
  queue_position: number | null;
}

export interface FineTuningJobAttempt {
  /** What `after` takes. */
  id: string;
  object: 'fine_tuning.job.attempt';
  kind: 'training' | 'validation';
  /** The process that had the job. */
  worker: string;
  /** Unix seconds. */
  started_at: number;
  /** Null while it is under way. Of a lost one, its last sign of life. */
  ended_at: number | null;
  /** The checkpoint that it resumed from; 0: none. */
  from_step: number | null;
  /** The last step that it reported. */
  last_step: number | null;
  /** released: the worker stopped in good order; lost: it died or was cut off; environment: it could not run the job. */
  outcome: 'succeeded' | 'failed' | 'cancelled' | 'paused' | 'released' | 'lost' | 'environment' | null;
  reason: string | null;
}

export interface FineTuningJobAttemptList {
  object: 'list';
  data: FineTuningJobAttempt[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
  /** Null for a job that is over. */
  outlook: FineTuningJobOutlook | null;
}

export interface FineTuningJobCheckpoint {
  id: string;
  object: 'fine_tuning.job.checkpoint';
  /** Unix seconds. */
  created_at: number;
  /** What completions take as `model`, if it is `available`. */
  fine_tuned_model_checkpoint: string;
  step_number: number;
  fine_tuning_job_id: string;
  /** Whether its adapter is kept, so that it can be called, downloaded and made a version: the three newest of a job, and the best. */
  available: boolean;
  /** Whether it is the best by metric_for_best_model so far. */
  best: boolean;
  /** Of its files. */
  bytes: number;
  /** How long it took to write the state that training resumes from; null: there is none. */
  seconds: number | null;
  /** Of the adapter, as of versions; null: it is not kept. */
  digest: string | null;
  /** Of the adapter. */
  files: {
    path: string;
    bytes: number;
    sha256: string;
  }[];
  metrics: {
    step?: number;
    train_loss?: number;
    train_mean_token_accuracy?: number;
    valid_loss?: number;
    valid_mean_token_accuracy?: number;
    full_valid_loss?: number;
    full_valid_mean_token_accuracy?: number;
  };
}

export interface FineTuningJobData {
  training: {
    /** That are used. */
    examples: number;
    /** Of these, cut to `training.max_seq_length`. */
    truncated: number;
    /** Skipped: longer than `training.max_seq_length`, or truncated so that no target token remained. */
    skipped: number;
    /** In the content of messages, in prompts and in completions: plain text unless `training.allow_special_tokens`. */
    special_tokens: number;
  };
  /** Null without a validation file. */
  validation: {
    /** That are used. */
    examples: number;
    /** Of these, cut to `training.max_seq_length`. */
    truncated: number;
    /** Skipped: longer than `training.max_seq_length`, or truncated so that no target token remained. */
    skipped: number;
    /** In the content of messages, in prompts and in completions: plain text unless `training.allow_special_tokens`. */
    special_tokens: number;
  } | null;
  /** Tokens of the longest example, and of a soft prompt before it. Null of jobs that an earlier version validated. */
  longest: number | null;
  /** Validation examples that training has, too, so that the validation loss looks better than it is. Null without a validation file. */
  overlap: {
    /** With the prompt of a training example: in a chat everything before its first trained answer, otherwise the prompt, the text to classify, or the anchor. */
    prompts: number;
    /** Of these, with the same answer or label, too. */
    identical: number;
    /** False of training files with more than a million prompts: the counts are estimates. */
    exact: boolean;
  } | null;
}

export interface FineTuningJobEvent {
  id: string;
  object: 'fine_tuning.job.event';
  /** Unix seconds. */
  created_at: number;
  level: 'info' | 'warn' | 'error';
  message: string;
  type: 'message' | 'metrics';
  data: Record<string, unknown>;
}

export interface FineTuningJobLosses {
  object: 'fine_tuning.job.losses';
  fine_tuning_job_id: string;
  /** Ascending. */
  steps: number[];
  /** Of training, at each of these steps. */
  losses: number[];
}

export interface FineTuningJobMetric {
  object: 'fine_tuning.job.metric';
  kind: 'train' | 'evaluation';
  step: number;
  epoch: number | null;
  loss: number;
  /** Everything that was measured besides, by name: of an evaluation the metrics of the objective. `objectives` of GET /v1/fine_tuning/options describes each. */
  metrics: Record<string, number>;
  token_accuracy: number | null;
  learning_rate: number | null;
  grad_norm: number | null;
  /** Trained so far. */
  tokens: number | null;
  tokens_per_second: number | null;
  /** Bytes that the process which trains held after the step, of the machine’s memory also where it trains on a GPU. Peak memory is the most of it. Null of an evaluation, and of a step of a version that did not measure it. */
  memory_bytes: number | null;
  /** In a sweep, whose steps and tokens count all trials: the trial that it belongs to. */
  trial: number | null;
  /** The step within its trial. */
  trial_step: number | null;
  /** Unix seconds. */
  created_at: number;
  /** With `resolution`: the steps that this one, the last of them, stands for, their losses and most memory. */
  stretch?: {
    first_step: number;
    last_step: number;
    /** Metrics in it. */
    count: number;
    loss_min: number;
    loss_max: number;
    loss_mean: number;
    /** The most of any of them; null where none has it. */
    memory_bytes_max: number | null;
  };
}

export interface FineTuningJobOutlook {
  /** Unix seconds: it waits until then. Null: it may run now. */
  run_after: number | null;
  /** Any other worker that can run it comes first. */
  avoids_worker: string | null;
  /** Of those that had it: they take no jobs for now. */
  quarantined_workers: string[];
  /** Attempts that may be lost before a new checkpoint, the one under way included. */
  attempts_left: number;
  /** What its first worker had, and every other needs. Null before it was run. */
  requirements: {
    precision: 'fp32' | 'bf16';
    threads: number;
    device: 'cpu' | 'gpu';
    /** An instruction set of Graft’s kernels, or "stock"; on a GPU "xla" or "stock". */
    kernels: string;
    /** The GPU model, as nvidia-smi names it. Null on a CPU, and for a job started by a version of Graft that accepted any. */
    gpu: string | null;
    /** Maximum examples computed at a time, since more did not fit. Null: the whole batch. */
    micro_batch: number | null;
  } | null;
  /** Whether a worker that takes jobs now can run it. */
  has_worker: boolean;
}

export interface FineTuningJobProgress {
  /** Of a sweep: of all its trials, as `tokens`. */
  step: number;
  total_steps: number;
  /** Training epochs done, a fraction included. */
  epoch: number;
  /** Tokens trained so far. */
  tokens: number;
  tokens_per_second: number;
  seconds_remaining: number | null;
  /** Of the last step. */
  loss: number | null;
  /** The GPU that it runs on, as measured a few seconds ago. Null on a CPU; values that the GPU does not report are null. */
  gpu: {
    /** As nvidia-smi names it. */
    model: string;
    /** Of all processes on it. */
    memory_used_bytes: number | null;
    memory_total_bytes: number | null;
    /** Part of the time in which something was computed on it, 0 to 1. */
    utilization: number | null;
    /** In degrees Celsius. */
    temperature: number | null;
  } | null;
}

export interface FineTuningJobTrainingEnd {
  /** The last optimizer step. */
  step: number;
  /** Those that were planned. */
  total_steps: number;
  reason: 'completed' | 'early_stopping';
  /** Whose adapter is published: the last, or with load_best_model_at_end the best. */
  published_step: number;
  /** The best evaluation by metric_for_best_model; null without validation data. */
  best: {
    step: number;
    metric: string;
    value: number;
  } | null;
}

export interface FineTuningJobTrial {
  object: 'fine_tuning.job.trial';
  trial: number;
  /** waiting: it may continue; stopped: others continued in its place, which were better by metric_for_best_model or, see tied_with, equally good; diverged: its loss was not a number; won: it is published. */
  status: 'waiting' | 'running' | 'stopped' | 'diverged' | 'won';
  /** Of a stopped trial: the earlier trial that measured the same where it was stopped, at the end, and won because it comes first; in sweeps of earlier versions at any comparison. Null: all that continued were better. */
  tied_with: number | null;
  /** Its own optimizer steps done. */
  step: number;
  /** Where it was compared with others. The last is the end of the winner. */
  rungs: {
    step: number;
    /** Null: it was not a number. */
    valid_loss: number | null;
    /** Of metric_for_best_model, which decides before the loss; absent where that is the loss. */
    value?: number | null;
  }[];
  peft: PeftConfig;
  /** As of the job. */
  training: ResolvedTraining | TrainingOptions;
}

export interface FineTuningJobTrialList {
  object: 'list';
  data: FineTuningJobTrial[];
  /** Always false: a sweep has at most 32. */
  has_more: boolean;
}

export interface FineTuningJobValidation {
  /** Read so far, of both files. */
  bytes: number;
  total_bytes: number;
  /** Checked so far. */
  examples: number;
}

export interface FineTuningMethod {
  peft_type: 'LORA' | 'IA3' | 'LN_TUNING' | 'TRAINABLE_TOKENS' | 'SELECTIVE' | 'BOTTLENECK' | 'PROMPT_TUNING' | 'P_TUNING' | 'PREFIX_TUNING';
  /** As the paper writes it. */
  title: string;
  /** When to choose it. */
  when: string;
  /** Address of what explains it. */
  paper: string;
  /** Whether the team’s quota lets it be trained. */
  permitted: boolean;
  /** Options of a usual configuration. */
  usual: Record<string, unknown>;
  /** Those mean something on some models alone. */
  usual_needs_model: boolean;
  /** JSON Schema of its options, with their defaults. */
  options: Record<string, unknown>;
  /** Those of them that name modules. */
  module_options: string[];
}

export interface FineTuningMetric {
  /** Key in `metrics` of a job’s series, its events and adapter versions. */
  name: string;
  /** Heading of its curve. */
  label: string;
  /** `share`: from 0 to 1. */
  unit: 'share' | 'number' | 'per_second' | 'bytes';
  /** Which values are better; null: neither. */
  better: 'higher' | 'lower' | null;
  /** After each optimizer step, on the validation examples, or both. */
  measured: ('step' | 'evaluation')[];
  /** The field of a job’s series that has the same value, also of steps; null: there is none. */
  field: string | null;
}

export interface FineTuningObjective {
  name: string;
  /** `method.type` of a job. */
  method: string;
  /** Formats of the training files that it trains on. */
  formats: string[];
  tasks: ('CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION')[];
  /** Besides the loss. */
  metrics: FineTuningMetric[];
}

export interface FineTuningOptions {
  object: 'fine_tuning.options';
  /** What a job without `peft` trains; its rank is within the team’s `max_rank`. */
  default_peft: Record<string, unknown>;
  methods: FineTuningMethod[];
  /** Formats of training data: what a line can be. */
  formats: {
    /** As files and reports have it in `format`. */
    name: string;
    /** What a line is. */
    title: string;
    /** A line of a file. */
    sample: string;
    /** That learn from it, the usual one first. */
    tasks: ('CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION')[];
  }[];
  /** What training minimises, and what is measured. */
  objectives: FineTuningObjective[];
  /** JSON Schema of `training`. */
  training: Record<string, unknown>;
  /** JSON Schema of `method.supervised.hyperparameters`. */
  hyperparameters: Record<string, unknown>;
  /** JSON Schema of `sweep`. */
  sweep: Record<string, unknown>;
  /** The requested one; null if none was requested, or while it is fetched. */
  model: TrainableModel | null;
}

export interface FineTuningPlan {
  object: 'fine_tuning.estimate';
  /** Of the adapter. */
  trainable_parameters: number;
  /** The base model’s and these. */
  total_parameters: number;
  /** The most that the process which trains will hold at once; with the device gpu: of its card. */
  peak_memory_bytes: number;
  /** Of all epochs. */
  tokens: number;
  /** Optimizer steps. */
  steps: number;
  /** From its start to the files of the adapter; null where the speed of the worker is not known. */
  seconds: number | null;
  /** Whether a live worker has the memory; null if one does not report its memory. */
  fits: boolean | null;
  /** Any of these would make it fit. Empty when it does, or when nothing helps. */
  changes: {
    training: FineTuningChanges;
    /** With these options. */
    peak_memory_bytes: number;
  }[];
  /** Live workers that could take the job. */
  workers: number;
  /** Maximum memory for a job on one of them; null: none reports it. */
  memory_bytes: number | null;
  /** What the numbers are for. */
  device: 'cpu' | 'gpu';
  /** The same, of matrix products. */
  precision: 'fp32' | 'bf16';
  /** Options of `peft` that are left out and whose defaults in HF PEFT learn less, with what would be better. Of a job that exists its events have them. */
  warnings?: {
    param: string;
    message: string;
  }[];
  peft: PeftConfig;
  training: ResolvedTraining;
  /** Why the options of `training` that are left to Graft have their values, and what of `peft` has a default that costs much, by option. */
  training_reasons: Record<string, string>;
  /** Configurations that are trained. */
  trials: number;
}

export interface ForgottenBaseModel {
  id: string;
  object: 'base_model';
  /** False: it was never used. */
  forgotten: boolean;
}

/** OpenAI's hyperparameters, each a value or "auto". */
export interface Hyperparameters {
  /** Passes over the training examples. */
  n_epochs?: 'auto' | number;
  /** Examples per forward and backward pass. */
  batch_size?: 'auto' | number;
  /** Multiplies the method's learning rate. */
  learning_rate_multiplier?: 'auto' | number;
}

/** A trained factor for each channel. Source: Liu et al. 2022, arXiv:2205.05638. */
export interface IA3Config {
  /** The PEFT method. */
  peft_type: 'IA3';
  /** What the model is trained to do. */
  task_type: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  /** Modules to adapt: names matched as suffixes, a regular expression matched against the whole path, or "all-linear" (every linear layer but the output layer). Null takes the default for the architecture. */
  target_modules: string[] | string | null;
  /** Modules left out even if target_modules matches them: names or a regular expression. */
  exclude_modules: string[] | string | null;
  /** Those of target_modules whose inputs are scaled, not their outputs: ends of names, or a regular expression matched against the whole path. Null takes the default for the architecture. */
  feedforward_modules: string[] | string | null;
  /** Modules trained in full and saved with the adapter, by the end of their name. */
  modules_to_save: string[] | null;
  /** The target stores its weight as (in, out), as transformers' Conv1D does; Graft sets it itself. */
  fan_in_fan_out: boolean;
  /** Start with factors of one: at the base model. false: normal random factors. */
  init_ia3_weights: boolean;
}

export interface Integration {
  id: string;
  object: 'integration';
  /** Unix seconds. */
  created_at: number;
  /** Unix seconds. */
  updated_at: number;
  type: 'wandb' | 'mlflow' | 'trackio';
  url: string;
  username: string | null;
  /** The secret itself is never shown. */
  has_secret: boolean;
}

export interface Invitation {
  id: string;
  object: 'team.invitation';
  /** Unix seconds. */
  created_at: number;
  /** Null: anyone with the link can accept it. */
  email: string | null;
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role: 'viewer' | 'member' | 'admin';
  /** A person or a key. Null: the operator. */
  created_by: string | null;
  /** Unix seconds. */
  expires_at: number;
  /** Unix seconds. */
  accepted_at: number | null;
  accepted_by: string | null;
  /** Unix seconds. */
  revoked_at: number | null;
}

/** A `type`, and the settings of that type. */
export interface JobIntegration {
  type: 'wandb' | 'mlflow' | 'trackio';
  wandb?: {
    project: string;
    /** Of the run; the job’s id unless given. */
    name?: string | null;
    /** Whose project it is; that of the API key unless given. */
    entity?: string | null;
    tags?: string[];
  };
  mlflow?: {
    /** Made when there is none of this name. */
    experiment: string;
    /** Of the run; the job’s id unless given. */
    name?: string | null;
    tags?: Record<string, string>;
  };
  trackio?: {
    project: string;
    /** Of the run; the job’s id unless given. */
    name?: string | null;
    /** Runs of one group are shown together. */
    group?: string | null;
  };
}

export interface JoinedTeam {
  object: 'invitation.accepted';
  team: {
    id: string;
    name: string;
  };
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role: 'viewer' | 'member' | 'admin';
}

export interface KeySignIn {
  key: string;
}

/** The norms of the model are trained. Source: Zhao et al. 2023, arXiv:2312.11420. */
export interface LNTuningConfig {
  /** The PEFT method. */
  peft_type: 'LN_TUNING';
  /** What the model is trained to do. */
  task_type: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  /** Modules to adapt: names matched as suffixes, a regular expression matched against the whole path, or "all-linear" (every linear layer but the output layer). Null takes the default for the architecture. */
  target_modules: string[] | string | null;
  /** Modules left out even if target_modules matches them: names or a regular expression. */
  exclude_modules: string[] | string | null;
  /** Modules trained in full and saved with the adapter, by the end of their name. */
  modules_to_save: string[] | null;
}

/** Low-rank adaptation. Other options of HF PEFT are accepted at their default only. */
export interface LoraConfig {
  /** The PEFT method. */
  peft_type: 'LORA';
  /** What the model is trained to do. */
  task_type: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  /** Rank of the update matrices. */
  r: number;
  /** The update is scaled by lora_alpha / r (by lora_alpha / √r with use_rslora). */
  lora_alpha: number;
  /** Probability that an input of the update is dropped during training. */
  lora_dropout: number;
  /** Modules to adapt: names matched as suffixes, a regular expression matched against the whole path, or "all-linear" (every linear layer but the output layer). Null takes the default for the architecture. */
  target_modules: string[] | string | null;
  /** Modules left out even if target_modules matches them: names or a regular expression. */
  exclude_modules: string[] | string | null;
  /** Which existing bias vectors are trained too. */
  bias: 'none' | 'all' | 'lora_only';
  /** Scale by lora_alpha / √r (rank-stabilised LoRA). */
  use_rslora: boolean;
  /** Train the magnitude of each output channel apart from its direction (DoRA). */
  use_dora: boolean;
  /** Give the update a bias of its own. It merges only into modules that have a bias. */
  lora_bias: boolean;
  /** Adapt only these layers (0-based). Only with a list of target_modules. */
  layers_to_transform: number[] | number | null;
  /** Name of the list of layers that layers_to_transform counts, if not the usual one. */
  layers_pattern: string[] | string | null;
  /** Ranks that differ from r, by module name or regular expression. */
  rank_pattern: Record<string, number>;
  /** Alphas that differ from lora_alpha, by module name or regular expression. */
  alpha_pattern: Record<string, number>;
  /** Modules trained in full and saved with the adapter, by the end of their name. */
  modules_to_save: string[] | null;
  /** Ids of tokens whose embeddings are trained too: of the input embedding, or by the end of a module name. */
  trainable_token_indices: number[] | Record<string, number[]> | null;
  /** true: Kaiming-uniform A, zero B. "gaussian": normal A with deviation 1/r, zero B. "orthogonal": random A and B whose product is zero, for an even r. false: both random. */
  init_lora_weights: boolean | 'gaussian' | 'orthogonal';
  /** The target stores its weight as (in, out), as transformers' Conv1D does; Graft sets it itself. */
  fan_in_fan_out: boolean;
}

export interface Me {
  object: 'me';
  /** `person`: signed in, and of no team so far. */
  kind: 'team' | 'operator' | 'person';
  team: {
    id: string;
    name: string;
  } | null;
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role: 'viewer' | 'member' | 'admin' | null;
  /** Null: all that the role may. */
  scopes: string[] | null;
  /** Null: all. */
  models: string[] | null;
  key: {
    id: string;
    /** Unix seconds. */
    expires_at: number | null;
  } | null;
  person: {
    id: string;
    email: string;
    name: string;
  } | null;
  /** May use the routes of the operator. */
  is_operator: boolean;
  /** Teams of a signed-in person. Null for a key. */
  teams: {
    id: string;
    name: string;
    /** viewer: reads; member: everything else; admin: people and keys too. */
    role: 'viewer' | 'member' | 'admin';
  }[] | null;
  /** Null: by a key. */
  session: {
    id: string;
    /** `oidc`: at the provider; `key`: by a key, whose rights it has and with which it ends. */
    method: 'oidc' | 'key';
    /** Unix seconds. */
    expires_at: number;
  } | null;
}

export interface Model {
  /** What requests name as `model`. */
  id: string;
  object: 'model';
  /** Unix seconds. */
  created: number;
  /** `graft` for a base model, else the team. */
  owned_by: string;
  /** Null for a base model. */
  base_model: string | null;
  /** Of a base model: the same model on the Hugging Face Hub. Null: it is known by its files alone, or this is no base model. */
  hub: {
    /** What transformers, vLLM and others load. */
    id: string;
    /** How the weights that Graft trains on are quantised, such as `Q4_1`, or their GGUF file. Null: they are the Hub’s full weights. */
    quantization: string | null;
  } | null;
  /** Null for a base model, and for a checkpoint, which is no version yet. */
  adapter: {
    id: string;
    version: number;
  } | null;
  /** The fine-tuning job that made it; null: it was uploaded. */
  job: string | null;
}

export interface MoveAdapterTag {
  /** 1 to 32 of a-z, 0-9, ".", "_", "-", beginning with a letter; not eight letters and digits. */
  tag: string;
  version: number;
  /** Only when the tag points at this version; null: only when there is no such tag yet. */
  expected_version?: number | null;
}

export interface MovedAdapterTag {
  id: string;
  object: 'adapter.tag';
  /** Unix seconds. */
  created_at: number;
  /** Unix seconds. */
  moved_at: number;
  adapter_id: string;
  tag: string;
  /** `ft:{base}:{team}:{adapter}:{tag}`: completions take it as `model`. */
  model: string;
  /** The version that it points at. */
  version: number;
  /** Null: the tag is new. */
  previous_version: number | null;
}

export interface OperatorKey {
  /** The middle part of `graft_<id>_<secret>`. */
  id: string;
  object: 'operator_key';
  /** Unix seconds. */
  created_at: number;
  name: string;
  /** Null: the service's own. */
  person_id: string | null;
  created_by: string | null;
  /** Unix seconds. */
  last_used_at: number | null;
  /** Unix seconds. */
  expires_at: number | null;
  /** Unix seconds. */
  revoked_at: number | null;
}

/** Embeddings before every sequence, trained through an encoder. Source: Liu et al. 2021, arXiv:2103.10385. */
export interface PTuningConfig {
  /** The PEFT method. */
  peft_type: 'P_TUNING';
  /** What the model is trained to do. */
  task_type: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  /** Positions trained before every sequence. HF PEFT has no default. */
  num_virtual_tokens: number;
  /** Width of one trained token. Filled in from the base model; another value is refused. */
  token_dim: number | null;
  /** 2 for encoder-decoder models, else 1. Filled in from the base model; another value is refused. */
  num_transformer_submodules: number | null;
  /** Attention heads; for a prefix those of the keys and values. Filled in from the base model; another value is refused. */
  num_attention_heads: number | null;
  /** Transformer layers. Filled in from the base model; another value is refused. */
  num_layers: number | null;
  /** Modules trained in full and saved with the adapter, by the end of their name. */
  modules_to_save: string[] | null;
  /** The encoder: three linear layers with ReLU between, or a bidirectional LSTM with two linear layers after it. */
  encoder_reparameterization_type: 'MLP' | 'LSTM';
  /** Width of the encoder that the virtual tokens are trained through. Null takes token_dim. */
  encoder_hidden_size: number | null;
  /** Layers of the LSTM; the MLP has its own. */
  encoder_num_layers: number;
  /** Probability that a value between two of the LSTM's layers is dropped during training. */
  encoder_dropout: number;
}

/** A PEFT config with every field filled in. */
export type PeftConfig = LoraConfig | IA3Config | LNTuningConfig | TrainableTokensConfig | SelectiveConfig | BottleneckConfig | PromptTuningConfig | PTuningConfig | PrefixTuningConfig;

/** A PEFT config with the field names of HF PEFT. Where it names a method and no more than its form (`task_type`, `use_dora`, `use_rslora`), Graft chooses the options; else what is left out has HF PEFT’s default. Unknown options are errors. */
export interface PeftRequest {
  /** The PEFT method. */
  peft_type: 'LORA' | 'IA3' | 'LN_TUNING' | 'TRAINABLE_TOKENS' | 'SELECTIVE' | 'BOTTLENECK' | 'PROMPT_TUNING' | 'P_TUNING' | 'PREFIX_TUNING';
  /** What the model is trained to do. */
  task_type?: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  r?: 'auto' | number;
  lora_alpha?: 'auto' | number;
  /** Probability that an input of the update is dropped during training. */
  lora_dropout?: number;
  target_modules?: 'auto' | string[] | string | null;
  /** Modules left out even if target_modules matches them: names or a regular expression. */
  exclude_modules?: string[] | string | null;
  /** Which existing bias vectors are trained too. */
  bias?: 'none' | 'all' | 'lora_only';
  /** Scale by lora_alpha / √r (rank-stabilised LoRA). */
  use_rslora?: boolean;
  /** Train the magnitude of each output channel apart from its direction (DoRA). */
  use_dora?: boolean;
  /** Give the update a bias of its own. It merges only into modules that have a bias. */
  lora_bias?: boolean;
  /** Adapt only these layers (0-based). Only with a list of target_modules. */
  layers_to_transform?: number[] | number | null;
  /** Name of the list of layers that layers_to_transform counts, if not the usual one. */
  layers_pattern?: string[] | string | null;
  /** Ranks that differ from r, by module name or regular expression. */
  rank_pattern?: Record<string, number>;
  /** Alphas that differ from lora_alpha, by module name or regular expression. */
  alpha_pattern?: Record<string, number>;
  /** Modules trained in full and saved with the adapter, by the end of their name. */
  modules_to_save?: string[] | null;
  /** Ids of tokens whose embeddings are trained too: of the input embedding, or by the end of a module name. */
  trainable_token_indices?: number[] | Record<string, number[]> | null;
  /** true: Kaiming-uniform A, zero B. "gaussian": normal A with deviation 1/r, zero B. "orthogonal": random A and B whose product is zero, for an even r. false: both random. */
  init_lora_weights?: boolean | 'gaussian' | 'orthogonal';
  /** The target stores its weight as (in, out), as transformers' Conv1D does; Graft sets it itself. */
  fan_in_fan_out?: boolean;
  /** Those of target_modules whose inputs are scaled, not their outputs: ends of names, or a regular expression matched against the whole path. Null takes the default for the architecture. */
  feedforward_modules?: string[] | string | null;
  /** Start with factors of one: at the base model. false: normal random factors. */
  init_ia3_weights?: boolean;
  token_indices?: number[];
  init_weights?: boolean | 'bert' | 'mam_adapter' | 'houlsby' | 'zero' | null;
  preset?: 'bitfit' | 'retrain_embeddings' | 'seq_bn' | 'double_seq_bn' | 'par_bn' | null;
  /** Parameters to train. Names: of a parameter, of a module, or any run of parts of their paths ("layers.3.mlp", "bias"). A string: a regular expression matched against the whole name. */
  trainable?: string[] | string | null;
  /** Parameters to train by kind: bias, norm, embedding (of tokens, positions, types), head (the output layer; a tied one becomes a weight of its own), attention, mlp. */
  kinds?: ('bias' | 'norm' | 'embedding' | 'head' | 'attention' | 'mlp')[] | null;
  /** Train only in these layers (0-based), of what trainable and kinds choose; alone, these layers whole. */
  layers?: number[] | number | null;
  /** An adapter after the self-attention of each layer. */
  mh_adapter?: boolean;
  /** An adapter after the feed-forward network of each layer. */
  output_adapter?: boolean;
  /** An adapter after the cross-attention of each decoder layer. */
  cross_adapter?: boolean;
  /** The layer's width divided by the bottleneck's. An object gives it by layer ("0", "1", …; "default" for the others). */
  reduction_factor?: number | Record<string, number>;
  /** The bottleneck's activation. */
  non_linearity?: 'relu' | 'gelu' | 'gelu_new' | 'gelu_pytorch_tanh' | 'quick_gelu' | 'silu' | 'swish' | 'tanh' | 'sigmoid' | 'leaky_relu' | 'leakyrelu' | 'linear';
  /** Add the layer's residual (and apply its norm, in a post-norm model) before the adapter. Not for is_parallel. */
  original_ln_before?: boolean;
  /** Add the layer's residual (and apply its norm, in a post-norm model) after the adapter. */
  original_ln_after?: boolean;
  /** A new norm before the bottleneck. */
  ln_before?: boolean;
  /** A new norm after the bottleneck. */
  ln_after?: boolean;
  /** Where the residual around the bottleneck starts: true, at the sublayer's output; false, behind the residual and norm of original_ln_before; "post_add", between these two (post-norm models). */
  residual_before_ln?: boolean | 'post_add';
  /** Add the residual around the bottleneck before the norm of ln_after instead of behind it. */
  adapter_residual_before_ln?: boolean;
  /** Feed the adapter with the sublayer's input instead of its output. */
  is_parallel?: boolean;
  /** Factor of the adapter's output: a number, "learned", or "channel" (one learned for each channel). */
  scaling?: number | 'learned' | 'channel';
  /** Probability that an element of the adapter's output is dropped during training. */
  dropout?: number;
  /** Layers (0-based; a decoder's after its encoder's) that get no adapter. */
  leave_out?: number[];
  /** Positions trained before every sequence. HF PEFT has no default. */
  num_virtual_tokens?: number;
  /** Width of one trained token. Filled in from the base model; another value is refused. */
  token_dim?: number | null;
  /** 2 for encoder-decoder models, else 1. Filled in from the base model; another value is refused. */
  num_transformer_submodules?: number | null;
  /** Attention heads; for a prefix those of the keys and values. Filled in from the base model; another value is refused. */
  num_attention_heads?: number | null;
  /** Transformer layers. Filled in from the base model; another value is refused. */
  num_layers?: number | null;
  /** First values: normal numbers, the embeddings of prompt_tuning_init_text, or those of tokens drawn from the vocabulary. */
  prompt_tuning_init?: 'RANDOM' | 'TEXT' | 'SAMPLE_VOCAB';
  /** The text of TEXT, repeated or cut to num_virtual_tokens tokens. */
  prompt_tuning_init_text?: string | null;
  /** Name of the text's tokenizer, which HF PEFT needs. Graft takes the base model's own tokenizer, and its name into the files where this is null. */
  tokenizer_name_or_path?: string | null;
  /** The encoder: three linear layers with ReLU between, or a bidirectional LSTM with two linear layers after it. */
  encoder_reparameterization_type?: 'MLP' | 'LSTM';
  /** Width of the encoder that the virtual tokens are trained through. Null takes token_dim. */
  encoder_hidden_size?: number | null;
  /** Layers of the LSTM; the MLP has its own. */
  encoder_num_layers?: number;
  /** Probability that a value between two of the LSTM's layers is dropped during training. */
  encoder_dropout?: number;
  /** Train the keys and values through two linear layers with a tanh between. */
  prefix_projection?: boolean;
}

export interface Person {
  id: string;
  object: 'person';
  /** Unix seconds. */
  created_at: number;
  email: string;
  name: string;
  /** May hold keys of the operator. */
  is_operator: boolean;
  /** Since then none of their keys works. */
  disabled_at: number | null;
}

export interface PersonIdentity {
  id: string;
  object: 'identity';
  /** Unix seconds: when it was linked to the person. */
  created_at: number;
  /** The provider. */
  issuer: string;
  /** What the provider calls the person. */
  subject: string;
  /** Unix seconds: the last sign-in by it. */
  last_seen_at: number;
}

/** Trained keys and values before those of every sequence, in every layer. Source: Li and Liang 2021, arXiv:2101.00190. */
export interface PrefixTuningConfig {
  /** The PEFT method. */
  peft_type: 'PREFIX_TUNING';
  /** What the model is trained to do. */
  task_type: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  /** Positions trained before every sequence. HF PEFT has no default. */
  num_virtual_tokens: number;
  /** Width of one trained token. Filled in from the base model; another value is refused. */
  token_dim: number | null;
  /** 2 for encoder-decoder models, else 1. Filled in from the base model; another value is refused. */
  num_transformer_submodules: number | null;
  /** Attention heads; for a prefix those of the keys and values. Filled in from the base model; another value is refused. */
  num_attention_heads: number | null;
  /** Transformer layers. Filled in from the base model; another value is refused. */
  num_layers: number | null;
  /** Modules trained in full and saved with the adapter, by the end of their name. */
  modules_to_save: string[] | null;
  /** Train the keys and values through two linear layers with a tanh between. */
  prefix_projection: boolean;
  /** Width of the encoder that the virtual tokens are trained through. Null takes token_dim. */
  encoder_hidden_size: number | null;
  /** "zero": keys and values start at zero. Null: they are drawn. */
  init_weights: 'zero' | null;
}

export interface PromoteCheckpoint {
  /** Name of the adapter whose next version it becomes; the job's own if it is left out. */
  name?: string;
  note?: string | null;
}

/** Trained embeddings before every sequence. Source: Lester et al. 2021, arXiv:2104.08691. */
export interface PromptTuningConfig {
  /** The PEFT method. */
  peft_type: 'PROMPT_TUNING';
  /** What the model is trained to do. */
  task_type: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  /** Positions trained before every sequence. HF PEFT has no default. */
  num_virtual_tokens: number;
  /** Width of one trained token. Filled in from the base model; another value is refused. */
  token_dim: number | null;
  /** 2 for encoder-decoder models, else 1. Filled in from the base model; another value is refused. */
  num_transformer_submodules: number | null;
  /** Attention heads; for a prefix those of the keys and values. Filled in from the base model; another value is refused. */
  num_attention_heads: number | null;
  /** Transformer layers. Filled in from the base model; another value is refused. */
  num_layers: number | null;
  /** Modules trained in full and saved with the adapter, by the end of their name. */
  modules_to_save: string[] | null;
  /** First values: normal numbers, the embeddings of prompt_tuning_init_text, or those of tokens drawn from the vocabulary. */
  prompt_tuning_init: 'RANDOM' | 'TEXT' | 'SAMPLE_VOCAB';
  /** The text of TEXT, repeated or cut to num_virtual_tokens tokens. */
  prompt_tuning_init_text: string | null;
  /** Name of the text's tokenizer, which HF PEFT needs. Graft takes the base model's own tokenizer, and its name into the files where this is null. */
  tokenizer_name_or_path: string | null;
}

export interface QuarantineWorker {
  reason: string;
  /** What it runs goes elsewhere, from a checkpoint and at no attempt, instead of being finished. */
  drain?: boolean;
}

export interface Queue {
  object: 'queue';
  /** Of workers that live and take jobs. */
  slots: number;
  /** With jobs that are not over, the one whose turn is next first; at most 1,000. */
  teams: {
    id: string;
    object: 'queue.team';
    name: string;
    weight: number;
    running_limit: number;
    /** Jobs whose files are read. */
    validating: number;
    queued: number;
    /** Sent to workers, and in no slot yet. */
    dispatched: number;
    running: number;
    paused: number;
    /** When the job that waits longest could have started. Null: none waits. */
    waiting_since: number | null;
    /** Minutes of a slot, divided by the weight, that the team has had beyond those whose turn is next; 0: its own is. */
    ahead: number;
  }[];
}

export interface Receipt {
  /** Of what was changed or made. */
  id?: string;
  object: string;
  /** A new secret, the only time it is shown. */
  secret?: string;
}

export interface RemovedMember {
  id: string;
  object: 'team.member';
  deleted: true;
  /** Keys of the team or of others that the person made, directly or by other keys, and that still work, at most 1,000: the person may know their secrets. */
  keys_left: string[];
}

/** Training options with every value fixed. */
export interface ResolvedTraining {
  /** Passes over the training examples, or as many as max_steps takes. Automatic: 3; 2 above 5,000 examples, 1 above 20,000. Below 240: up to 12 where a model writes nothing, up to 6 where its answers are short. */
  n_epochs: number;
  /** Examples per forward and backward pass. Automatic: 8, or 32 where pairs of texts are learnt by contrast, or all examples if those are fewer, whatever gradient_accumulation_steps is. Negatives of pairs come from the batch. */
  batch_size: number;
  /** Of pairs for FEATURE_EXTRACTION: examples of a batch that are embedded at a time, in less memory and more time. Loss and gradients stay those of the whole batch (GradCache). Automatic: null, the whole batch, unless training would need more memory than any live worker has. */
  mini_batch_size: number | null;
  /** Passes per optimizer step. The effective batch is batch_size × gradient_accumulation_steps examples. Default 1. */
  gradient_accumulation_steps: number;
  /** Peak learning rate. Automatic: the method's × learning_rate_multiplier. */
  learning_rate: number;
  /** How the learning rate falls after warmup: not at all; to zero at the last step, or to a least rate; or not until the last steps. More is said by lr_scheduler_kwargs. Default cosine. With constant it rises only if warmup_steps is given. */
  lr_scheduler_type: 'constant' | 'linear' | 'cosine' | 'cosine_with_min_lr' | 'warmup_stable_decay';
  /** Optimizer steps over which the learning rate rises from zero; the last step always has the full rate. Automatic: 3 % of all steps, or what the method needs; none in fewer than 10 steps, nor with a constant rate. */
  warmup_steps: number;
  /** Decoupled weight decay of AdamW. Default 0. */
  weight_decay: number;
  /** Decay of the mean of gradients. Default 0.9. */
  adam_beta1: number;
  /** Decay of the mean of squared gradients. Default 0.999. */
  adam_beta2: number;
  /** Added to the denominator of AdamW. Default 1e-8. */
  adam_epsilon: number;
  /** Gradients are scaled down to this global norm; 0 leaves them. Default 1. */
  max_grad_norm: number;
  /** Longest example in tokens; `overlong` says what becomes of a longer one. Automatic: that of the data, up to the context of the base model; of plain texts, which are split, up to 2,048. */
  max_seq_length: number;
  /** What becomes of examples longer than max_seq_length: the job fails and lists them, and plain texts are split into pieces; their first tokens are kept; or they are left out. The job counts them in `data`. Default error. */
  overlong: 'error' | 'truncate' | 'skip';
  /** Lines of {"text"} longer than max_seq_length are split where overlong is error: each piece learns all of its tokens that no earlier one had, and sees so many of the tokens before them, at least one. Default 0. */
  text_stride: number;
  /** Special tokens such as <|im_end|> in the content of messages, in prompts and in completions are tokens. Default false: they are plain text, so that no content can forge a turn. */
  allow_special_tokens: boolean;
  /** Variables of the chat template with which conversations are learnt, such as {"enable_thinking": false}. The adapter answers with them, where a request does not set the same names. Default: none. */
  chat_template_kwargs?: Record<string, unknown>;
  /** Lay several examples in one row, without attention between them. Changes speed and which random numbers dropout and noise draw, nothing else. Default true. */
  packing: boolean;
  /** Precision of matrix products. Default auto: bf16 where the hardware has it. */
  precision: 'auto' | 'fp32' | 'bf16';
  /** Storage of the frozen weights while training. int8 and nf4 quantise them: a quarter and an eighth of fp32, and some time to unpack. The adapter is the same kind of file and serves on the original base, on which the published figures are measured where the worker has the memory. Default auto: bf16 where precision is. */
  base_dtype: 'auto' | 'fp32' | 'bf16' | 'int8' | 'nf4';
  /** Recompute activations in the backward pass: less memory, more time. Automatic: where max_seq_length is above 2,048, and where training would else need more memory than any live worker has. */
  gradient_checkpointing: boolean;
  /** Share of the training file held out for validation when no validation file is given, by the content of prompts: about that share, at least one. Examples with the same prompt are on one side, where they stay when the file grows. Default 0. */
  validation_split: number;
  /** Of what validation_split holds out. Jobs with the same one hold out the same prompts, whatever their seed. Default 42. */
  validation_seed: number;
  /** Optimizer steps between evaluations. Automatic: one training epoch, or a quarter of a run of fewer than three. */
  eval_steps: number;
  /** Optimizer steps between checkpoints. Automatic: a tenth of the job, at least 10 and at most 500. */
  checkpoint_steps: number;
  /** A checkpoint is also written after the step at which this many seconds have passed since the last one. Default 600. */
  checkpoint_seconds: number;
  /** Of the order of examples, the initial weights and dropout. Default: drawn at random and shown in the job; 42 in `graft train`. */
  seed: number;
  /** Train so many optimizer steps, whatever n_epochs is: fewer than its epochs have, or more, for which the examples are seen again. Default null: as many as n_epochs has. */
  max_steps: number | null;
  /** Stop after this many evaluations in a row that were no improvement of metric_for_best_model on the best before them. Needs validation data. Default null: train to the end. */
  early_stopping_patience: number | null;
  /** What is no more than this is no improvement to early_stopping_patience. Default 0. */
  early_stopping_threshold: number;
  /** Publish the adapter of the best evaluation, not that of the last step. Needs validation data. Automatic: with early_stopping_patience. */
  load_best_model_at_end: boolean;
  /** What the best is the best of: the validation loss, the share of tokens, classes or pairs that are right, or of pairs for FEATURE_EXTRACTION how well positives are found. Default eval_loss. */
  metric_for_best_model: 'eval_loss' | 'eval_accuracy' | 'eval_recall_at_1' | 'eval_recall_at_10' | 'eval_mrr';
  /** Whether more of metric_for_best_model is better. Automatic: of all but a loss. */
  greater_is_better: boolean;
  /** More about the schedule, by the names of transformers. cosine_with_min_lr: min_lr or min_lr_rate, num_cycles. warmup_stable_decay: num_decay_steps, num_stable_steps, min_lr_ratio, warmup_type, decay_type, num_cycles. */
  lr_scheduler_kwargs?: {
    /** Of cosine_with_min_lr: the rate of the end. */
    min_lr?: number;
    /** Of cosine_with_min_lr, instead of min_lr: the rate of the end as a share of learning_rate. */
    min_lr_rate?: number;
    /** Of warmup_stable_decay: the rate of its beginning and its end as a share of learning_rate. Default 0. */
    min_lr_ratio?: number;
    /** Of warmup_stable_decay. Automatic: what warmup and decay leave. */
    num_stable_steps?: number;
    /** Of warmup_stable_decay. Automatic: a tenth of all steps. */
    num_decay_steps?: number;
    /** Of warmup_stable_decay: how the rate rises. Default linear. */
    warmup_type?: 'linear' | 'cosine' | '1-sqrt';
    /** Of warmup_stable_decay: how the rate falls. Default cosine. */
    decay_type?: 'linear' | 'cosine' | '1-sqrt';
    /** Waves of the cosine of either schedule. Default 0.5: it falls once. */
    num_cycles?: number;
  };
  /** After Hayou et al. 2024 (arXiv:2402.12354): the second factor B of each update, and what has one axis, learn at so many times learning_rate. Usually 2 to 16, with a smaller learning_rate. Default: off. */
  loraplus_lr_ratio?: number;
  /** With loraplus_lr_ratio: the peak rate of updates of embeddings, instead of learning_rate. Default 1e-6. */
  loraplus_lr_embedding?: number;
  /** So much of each target is shared out evenly among all tokens of the vocabulary, or all classes. Of training alone: the validation loss stays comparable. Default 0. */
  label_smoothing_factor?: number;
  /** NEFTune (arXiv:2310.05914): while training, embeddings get noise that is even between ± alpha / √(tokens of the sequence × width). Usually 5 to 15. Default 0: none. */
  neftune_noise_alpha?: number;
  /** What is measured and published is an average of the adapters of all steps, which keeps so much of itself at each step: 0.9 to 0.999, the more the longer the job. Default: off, the last step counts. */
  ema_decay?: number;
  /** Of classifiers: how much a class counts in the training loss. By label (those left out count 1), as a list in the order of the labels, or "balanced": the fewer examples a class has, the more. Default: all the same. */
  class_weights?: 'balanced' | number[] | Record<string, number>;
}

export interface RevokedInvitation {
  id: string;
  object: 'team.invitation';
  deleted: true;
}

export interface RotateApiKey {
  /** Seconds until the old key ends. */
  overlap?: number;
  /** Seconds. */
  expires_in?: number;
}

export interface RotateWebhookSecret {
  /** For so long the secrets before the new one sign, too. 0: none does any more. */
  overlap_seconds?: number;
}

/** Chosen parameters of the base model are trained themselves: biases (BitFit, Ben Zaken et al. 2021, arXiv:2106.10199), norms, the head, layers. */
export interface SelectiveConfig {
  /** The PEFT method. */
  peft_type: 'SELECTIVE';
  /** What the model is trained to do. */
  task_type: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  /** bitfit: kinds ["bias"]. retrain_embeddings: kinds ["head"], the output embedding with the input embedding fixed. */
  preset?: 'bitfit' | 'retrain_embeddings';
  /** Parameters to train. Names: of a parameter, of a module, or any run of parts of their paths ("layers.3.mlp", "bias"). A string: a regular expression matched against the whole name. */
  trainable: string[] | string | null;
  /** Parameters to train by kind: bias, norm, embedding (of tokens, positions, types), head (the output layer; a tied one becomes a weight of its own), attention, mlp. */
  kinds: ('bias' | 'norm' | 'embedding' | 'head' | 'attention' | 'mlp')[] | null;
  /** Train only in these layers (0-based), of what trainable and kinds choose; alone, these layers whole. */
  layers: number[] | number | null;
}

export interface ServiceState {
  object: 'service';
  /** Of the API process that answers, with its commit if that is known. */
  version: string;
  /** Its Node.js. */
  node: string;
  /** Unix seconds. */
  started_at: number;
  database: {
    /** `missing`: no answer within two seconds. */
    state: 'ok' | 'missing';
    /** Of Postgres. */
    version: string | null;
    /** The last one: how far the schema is. */
    migration: string | null;
  };
  queue: {
    /** `missing`: no answer within two seconds. */
    state: 'ok' | 'missing';
    backend: 'redis' | 'postgres';
    /** Rings that no worker has answered yet. */
    waiting: number | null;
  };
  /** Null: not known, since Postgres does not answer. */
  workers: {
    /** They take jobs. */
    ready: number;
    /** They stop. */
    draining: number;
    /** They get no jobs. */
    quarantined: number;
    /** No sign of life for a minute. */
    silent: number;
    /** Of those that live. Null: of one that does not say. */
    versions: (string | null)[];
    /** They speak another protocol than the API and answer no completions: one of the two must be upgraded. */
    other_protocol: number;
    /** They are of a version whose protocol has no number, and may refuse completions. */
    unknown_protocol: number;
  } | null;
  /** Where files, adapters and checkpoints are. */
  storage: 'folder' | 's3';
}

export interface Session {
  id: string;
  object: 'session';
  /** Unix seconds. */
  created_at: number;
  /** `oidc`: at the provider; `key`: by a key, whose rights it has and with which it ends. */
  method: 'oidc' | 'key';
  /** The key that was exchanged. */
  key_id: string | null;
  /** The one that asks. */
  current: boolean;
  user_agent: string | null;
  /** Unix seconds, to the minute. */
  last_used_at: number;
  /** Unix seconds. */
  expires_at: number;
}

export interface SetAdapterNote {
  /** Null removes it. */
  note: string | null;
}

export interface SetBudget {
  /** In the operator's money. */
  monthly: number;
  warn_at?: number;
  /** False: it is only warned of. */
  stops?: boolean;
}

/** What is absent stays as it is; null takes it away. */
export interface SetIntegration {
  /** Where the service is: https, port 443 or 8443, a host on the internet. What else may be reached, the operator opens (GRAFT_INTEGRATION_ALLOW). wandb: https://api.wandb.ai unless given. */
  url?: string;
  /** With it, `secret` is a password (mlflow). */
  username?: string | null;
  /** API key, token or password. It is stored encrypted and never shown. Absent: the one that is there stays, as long as the URL has the same origin. */
  secret?: string | null;
}

export interface SetRole {
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role: 'viewer' | 'member' | 'admin';
}

export interface SetUsagePrice {
  kind: 'trained_tokens' | 'device_seconds' | 'stored_bytes' | 'input_tokens' | 'output_tokens';
  /** A base model; `*`: all. */
  model?: string;
  /** Of a million tokens, an hour of a device, or a GiB stored for a day. */
  price: number;
  /** Default now. A price of stored bytes begins at midnight, in UTC. Until the next price of the same kind and model. */
  valid_from?: number;
}

export interface SignInOptions {
  object: 'sign_in_options';
  /** GET /v1/sign-in goes to a provider. */
  provider: boolean;
  /** POST /v1/sign-in/key takes keys. */
  key: boolean;
  /** The cookie that came is of a session that is let in. */
  signed_in: boolean;
}

export interface SignedOut {
  object: 'signed_out';
  /** Where the browser signs out at the provider. Null: nowhere. */
  end_session_url: string | null;
}

/** Each combination of these values is a trial, 2 to 32 in all. The worse ones by validation loss are stopped early, and the best adapter is published. */
export interface Sweep {
  /** Instead of `training.learning_rate`. Left out: what `training` says, or each method’s own. */
  learning_rate?: number[];
  /** Instead of `peft.r`, of methods that have a rank. The other options, `lora_alpha` too, stay. */
  r?: number[];
  /** PEFT methods: that of `peft` with its options, each other one as docs/methods.md gives it. */
  peft_type?: ('LORA' | 'IA3' | 'LN_TUNING' | 'TRAINABLE_TOKENS' | 'SELECTIVE' | 'BOTTLENECK' | 'PROMPT_TUNING' | 'P_TUNING' | 'PREFIX_TUNING')[];
}

export interface Team {
  id: string;
  object: 'team';
  /** Unix seconds. */
  created_at: number;
  /** Unique; part of the names of its models. */
  name: string;
  /** Jobs that may run at once. */
  running_limit: number;
  /** Its share of the machines, next to the weights of the other teams that have work. */
  weight: number;
}

export interface TeamInQueue {
  id: string;
  object: 'queue.team';
  name: string;
  weight: number;
  running_limit: number;
  /** Jobs whose files are read. */
  validating: number;
  queued: number;
  /** Sent to workers, and in no slot yet. */
  dispatched: number;
  running: number;
  paused: number;
  /** When the job that waits longest could have started. Null: none waits. */
  waiting_since: number | null;
  /** Minutes of a slot, divided by the weight, that the team has had beyond those whose turn is next; 0: its own is. */
  ahead: number;
}

export interface TeamMember {
  /** The person's. */
  id: string;
  object: 'team.member';
  /** Unix seconds. */
  created_at: number;
  email: string;
  name: string;
  /** viewer: reads; member: everything else; admin: people and keys too. */
  role: 'viewer' | 'member' | 'admin';
  /** Who decides over it. */
  source: 'manual' | 'oidc';
  /** By the operator: no key of the person works. */
  disabled: boolean;
}

export interface TeamQuota {
  object: 'team.quota';
  team_id: string;
  /** Jobs that may run at once; those beyond wait. `running_limit` of the team. */
  running_jobs: number;
  /** Jobs that wait: validating, queued or paused. Null: no limit. */
  queued_jobs: number | null;
  /** Of files, pending uploads and adapters together. Deleted adapters count until they cannot be restored. Null: no limit. */
  stored_bytes: number | null;
  /** Trained in a calendar month of UTC. Null: no limit. */
  tokens_per_month: number | null;
  /** Uploads in parts that are pending. Null: the server's own limit. Null: no limit. */
  open_uploads: number | null;
  /** Base models that jobs may train, or beginnings of some with a `*` behind. Null: no limit. */
  models: string[] | null;
  /** `peft_type`s that jobs may use. Null: no limit. */
  methods: ('LORA' | 'IA3' | 'LN_TUNING' | 'TRAINABLE_TOKENS' | 'SELECTIVE' | 'BOTTLENECK' | 'PROMPT_TUNING' | 'P_TUNING' | 'PREFIX_TUNING')[] | null;
  /** Of a job, `rank_pattern` included. Null: no limit. */
  max_rank: number | null;
  /** Of a job. Null: no limit. */
  max_seq_length: number | null;
  /** Tokens of the training data × epochs. A job beyond fails when its files were read. Null: no limit. */
  tokens_per_job: number | null;
  use: {
    running_jobs: number;
    queued_jobs: number;
    stored_bytes: number;
    /** Trained this month. */
    trained_tokens: number;
    /** What jobs that were validated and have not ended will train at most. */
    planned_tokens: number;
    open_uploads: number;
  };
  /** The operator has set what it may spend, too: /usage/budget. */
  has_budget: boolean;
  /** Unix seconds. */
  month_ends: number;
}

export interface TrainableModel {
  /** The base model. */
  id: string;
  /** The requested adapter version. */
  start_from: string | null;
  /** The configuration with which training continues from that version. */
  peft: Record<string, unknown> | null;
  model_type: string;
  /** What it can be trained for. */
  tasks: ('CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION')[];
  /** The usual one of them. */
  task_type: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  layers: number;
  /** Tokens that it attends to. */
  context_length: number;
  modules: {
    /** The end of their names, as options take it. */
    name: string;
    kind: 'linear' | 'embedding' | 'norm' | 'other';
    /** How many there are. */
    count: number;
    in: number | null;
    out: number | null;
    /** Whether `all-linear` means them. */
    all_linear: boolean;
  }[];
}

/** The embeddings of chosen tokens are trained, in a tied head too. */
export interface TrainableTokensConfig {
  /** The PEFT method. */
  peft_type: 'TRAINABLE_TOKENS';
  /** What the model is trained to do. */
  task_type: 'CAUSAL_LM' | 'SEQ_CLS' | 'TOKEN_CLS' | 'SEQ_2_SEQ_LM' | 'FEATURE_EXTRACTION';
  token_indices: number[];
  /** Embeddings whose rows are trained: names matched as suffixes, or a regular expression. Null takes the input embedding. */
  target_modules: string[] | string | null;
  /** Start with the tokens' own embeddings. false: normal random numbers. */
  init_weights: boolean;
}

/** Training options. What is left out is chosen automatically and shown in the job. */
export interface TrainingOptions {
  /** Passes over the training examples, or as many as max_steps takes. Automatic: 3; 2 above 5,000 examples, 1 above 20,000. Below 240: up to 12 where a model writes nothing, up to 6 where its answers are short. */
  n_epochs?: number;
  /** Examples per forward and backward pass. Automatic: 8, or 32 where pairs of texts are learnt by contrast, or all examples if those are fewer, whatever gradient_accumulation_steps is. Negatives of pairs come from the batch. */
  batch_size?: number;
  /** Of pairs for FEATURE_EXTRACTION: examples of a batch that are embedded at a time, in less memory and more time. Loss and gradients stay those of the whole batch (GradCache). null: the whole batch. "auto", as when it is left out: the whole batch, unless training would need more memory than any live worker has. */
  mini_batch_size?: 'auto' | number | null;
  /** Passes per optimizer step. The effective batch is batch_size × gradient_accumulation_steps examples. Default 1. */
  gradient_accumulation_steps?: number;
  /** Peak learning rate. "auto", as when it is left out: the method's × learning_rate_multiplier. */
  learning_rate?: 'auto' | number;
  /** How the learning rate falls after warmup: not at all; to zero at the last step, or to a least rate; or not until the last steps. More is said by lr_scheduler_kwargs. Default cosine. With constant it rises only if warmup_steps is given; constant_with_warmup is the same with the automatic warmup_steps. */
  lr_scheduler_type?: 'constant' | 'constant_with_warmup' | 'linear' | 'cosine' | 'cosine_with_min_lr' | 'warmup_stable_decay';
  /** Optimizer steps over which the learning rate rises from zero; the last step always has the full rate. Automatic: 3 % of all steps, or what the method needs; none in fewer than 10 steps, nor with a constant rate. */
  warmup_steps?: number;
  /** Decoupled weight decay of AdamW. Default 0. */
  weight_decay?: number;
  /** Decay of the mean of gradients. Default 0.9. */
  adam_beta1?: number;
  /** Decay of the mean of squared gradients. Default 0.999. */
  adam_beta2?: number;
  /** Added to the denominator of AdamW. Default 1e-8. */
  adam_epsilon?: number;
  /** Gradients are scaled down to this global norm; 0 leaves them. Default 1. */
  max_grad_norm?: number;
  /** Longest example in tokens; `overlong` says what becomes of a longer one. Automatic: that of the data, up to the context of the base model; of plain texts, which are split, up to 2,048. */
  max_seq_length?: number;
  /** What becomes of examples longer than max_seq_length: the job fails and lists them, and plain texts are split into pieces; their first tokens are kept; or they are left out. The job counts them in `data`. Default error. */
  overlong?: 'error' | 'truncate' | 'skip';
  /** Lines of {"text"} longer than max_seq_length are split where overlong is error: each piece learns all of its tokens that no earlier one had, and sees so many of the tokens before them, at least one. Default 0. */
  text_stride?: number;
  /** Special tokens such as <|im_end|> in the content of messages, in prompts and in completions are tokens. Default false: they are plain text, so that no content can forge a turn. */
  allow_special_tokens?: boolean;
  /** Variables of the chat template with which conversations are learnt, such as {"enable_thinking": false}. The adapter answers with them, where a request does not set the same names. Default: none. */
  chat_template_kwargs?: Record<string, unknown>;
  /** Lay several examples in one row, without attention between them. Changes speed and which random numbers dropout and noise draw, nothing else. Default true. */
  packing?: boolean;
  /** Precision of matrix products. Default auto: bf16 where the hardware has it. */
  precision?: 'auto' | 'fp32' | 'bf16';
  /** Storage of the frozen weights while training. int8 and nf4 quantise them: a quarter and an eighth of fp32, and some time to unpack. The adapter is the same kind of file and serves on the original base, on which the published figures are measured where the worker has the memory. Default auto: bf16 where precision is. */
  base_dtype?: 'auto' | 'fp32' | 'bf16' | 'int8' | 'nf4';
  /** Recompute activations in the backward pass: less memory, more time. "auto", as when it is left out: where max_seq_length is above 2,048, and where training would else need more memory than any live worker has. */
  gradient_checkpointing?: 'auto' | boolean;
  /** Share of the training file held out for validation when no validation file is given, by the content of prompts: about that share, at least one. Examples with the same prompt are on one side, where they stay when the file grows. Default 0. */
  validation_split?: number;
  /** Of what validation_split holds out. Jobs with the same one hold out the same prompts, whatever their seed. Default 42. */
  validation_seed?: number;
  /** Optimizer steps between evaluations. Automatic: one training epoch, or a quarter of a run of fewer than three. */
  eval_steps?: number;
  /** Optimizer steps between checkpoints. Automatic: a tenth of the job, at least 10 and at most 500. */
  checkpoint_steps?: number;
  /** A checkpoint is also written after the step at which this many seconds have passed since the last one. Default 600. */
  checkpoint_seconds?: number;
  /** Of the order of examples, the initial weights and dropout. Default: drawn at random and shown in the job; 42 in `graft train`. */
  seed?: number;
  /** Train so many optimizer steps, whatever n_epochs is: fewer than its epochs have, or more, for which the examples are seen again. Default null: as many as n_epochs has. */
  max_steps?: number | null;
  /** Stop after this many evaluations in a row that were no improvement of metric_for_best_model on the best before them. Needs validation data. Default null: train to the end. */
  early_stopping_patience?: number | null;
  /** What is no more than this is no improvement to early_stopping_patience. Default 0. */
  early_stopping_threshold?: number;
  /** Publish the adapter of the best evaluation, not that of the last step. Needs validation data. Automatic: with early_stopping_patience. */
  load_best_model_at_end?: boolean;
  /** What the best is the best of: the validation loss, the share of tokens, classes or pairs that are right, or of pairs for FEATURE_EXTRACTION how well positives are found. Default eval_loss. */
  metric_for_best_model?: 'eval_loss' | 'eval_accuracy' | 'eval_recall_at_1' | 'eval_recall_at_10' | 'eval_mrr';
  /** Whether more of metric_for_best_model is better. Automatic: of all but a loss. */
  greater_is_better?: boolean;
  /** More about the schedule, by the names of transformers. cosine_with_min_lr: min_lr or min_lr_rate, num_cycles. warmup_stable_decay: num_decay_steps, num_stable_steps, min_lr_ratio, warmup_type, decay_type, num_cycles. */
  lr_scheduler_kwargs?: {
    /** Of cosine_with_min_lr: the rate of the end. */
    min_lr?: number;
    /** Of cosine_with_min_lr, instead of min_lr: the rate of the end as a share of learning_rate. */
    min_lr_rate?: number;
    /** Of warmup_stable_decay: the rate of its beginning and its end as a share of learning_rate. Default 0. */
    min_lr_ratio?: number;
    /** Of warmup_stable_decay. Automatic: what warmup and decay leave. */
    num_stable_steps?: number;
    /** Of warmup_stable_decay. Automatic: a tenth of all steps. */
    num_decay_steps?: number;
    /** Of warmup_stable_decay: how the rate rises. Default linear. */
    warmup_type?: 'linear' | 'cosine' | '1-sqrt';
    /** Of warmup_stable_decay: how the rate falls. Default cosine. */
    decay_type?: 'linear' | 'cosine' | '1-sqrt';
    /** Waves of the cosine of either schedule. Default 0.5: it falls once. */
    num_cycles?: number;
  };
  /** After Hayou et al. 2024 (arXiv:2402.12354): the second factor B of each update, and what has one axis, learn at so many times learning_rate. Usually 2 to 16, with a smaller learning_rate. Default: off. */
  loraplus_lr_ratio?: number;
  /** With loraplus_lr_ratio: the peak rate of updates of embeddings, instead of learning_rate. Default 1e-6. */
  loraplus_lr_embedding?: number;
  /** So much of each target is shared out evenly among all tokens of the vocabulary, or all classes. Of training alone: the validation loss stays comparable. Default 0. */
  label_smoothing_factor?: number;
  /** NEFTune (arXiv:2310.05914): while training, embeddings get noise that is even between ± alpha / √(tokens of the sequence × width). Usually 5 to 15. Default 0: none. */
  neftune_noise_alpha?: number;
  /** What is measured and published is an average of the adapters of all steps, which keeps so much of itself at each step: 0.9 to 0.999, the more the longer the job. Default: off, the last step counts. */
  ema_decay?: number;
  /** Of classifiers: how much a class counts in the training loss. By label (those left out count 1), as a list in the order of the labels, or "balanced": the fewer examples a class has, the more. Default: all the same. */
  class_weights?: 'balanced' | number[] | Record<string, number>;
  /** The learning rate ends at this share of its peak instead of zero. A cosine is then cosine_with_min_lr with it in lr_scheduler_kwargs. */
  min_lr_rate?: number;
  /** The same as a rate, instead of min_lr_rate. */
  min_lr?: number;
}

export interface UnlinkedIdentity {
  id: string;
  object: 'identity';
  deleted: true;
}

export interface UpdateBaseModel {
  hidden: boolean;
}

export interface UpdateFineTuningJob {
  /** Of a job that runs: once it waits again. */
  priority: 'low' | 'normal' | 'high';
}

export interface UpdatePerson {
  name?: string;
  is_operator?: boolean;
  disabled?: boolean;
}

export interface UpdateTeam {
  running_limit?: number;
  /** Counts from the next turn on. */
  weight?: number;
}

export interface UpdateTeamQuota {
  /** Jobs that may run at once; those beyond wait. `running_limit` of the team. */
  running_jobs?: number;
  /** Jobs that wait: validating, queued or paused. Null: no limit. */
  queued_jobs?: number | null;
  /** Of files, pending uploads and adapters together. Deleted adapters count until they cannot be restored. Null: no limit. */
  stored_bytes?: number | null;
  /** Trained in a calendar month of UTC. Null: no limit. */
  tokens_per_month?: number | null;
  /** Uploads in parts that are pending. Null: the server's own limit. Null: no limit. */
  open_uploads?: number | null;
  /** Base models that jobs may train, or beginnings of some with a `*` behind. Null: no limit. */
  models?: string[] | null;
  /** `peft_type`s that jobs may use. Null: no limit. */
  methods?: ('LORA' | 'IA3' | 'LN_TUNING' | 'TRAINABLE_TOKENS' | 'SELECTIVE' | 'BOTTLENECK' | 'PROMPT_TUNING' | 'P_TUNING' | 'PREFIX_TUNING')[] | null;
  /** Of a job, `rank_pattern` included. Null: no limit. */
  max_rank?: number | null;
  /** Of a job. Null: no limit. */
  max_seq_length?: number | null;
  /** Tokens of the training data × epochs. A job beyond fails when its files were read. Null: no limit. */
  tokens_per_job?: number | null;
}

export interface UpdateWebhookEndpoint {
  /** https, port 443 or 8443, a host on the internet. What else may be reached, the operator opens (GRAFT_WEBHOOK_ALLOW). */
  url?: string;
  /** For people. */
  description?: string | null;
  /** Types it gets. */
  events?: ('fine_tuning.job.succeeded' | 'fine_tuning.job.failed' | 'fine_tuning.job.cancelled' | 'fine_tuning.job.running' | 'fine_tuning.job.paused' | 'budget.warning' | 'budget.exceeded')[];
  /** True forgets failures and sends at once what still waits. */
  enabled?: boolean;
}

export interface Upload {
  id: string;
  object: 'upload';
  /** Of the whole file, as announced. */
  bytes: number;
  /** Unix seconds. */
  created_at: number;
  /** Unix seconds. */
  expires_at: number;
  filename: string;
  purpose: string;
  status: 'pending' | 'completed' | 'cancelled' | 'expired';
  /** Of a completed upload, unless it was deleted since. Null in lists. */
  file: File | null;
  mime_type: string;
  /** In the different parts so far. */
  received_bytes: number;
  /** How many parts there are so far. */
  parts: number;
}

export interface UploadPart {
  id: string;
  object: 'upload.part';
  /** Unix seconds. */
  created_at: number;
  upload_id: string;
  bytes: number;
  /** Hex digest of the part, for finding out which need not be sent again. */
  sha256: string;
}

export interface UsageBucket {
  object: 'bucket';
  /** Unix seconds. */
  start_time: number;
  /** Unix seconds. */
  end_time: number;
  results: UsageResult[];
}

export interface UsagePage {
  object: 'page';
  /** A bucket per UTC day, the earliest first. A day with very many results continues on the next page. */
  data: UsageBucket[];
  has_more: boolean;
  /** For `page`. */
  next_page: string | null;
}

export interface UsagePrice {
  id: string;
  object: 'usage.price';
  /** Unix seconds. */
  created_at: number;
  kind: 'trained_tokens' | 'device_seconds' | 'stored_bytes' | 'input_tokens' | 'output_tokens';
  /** A base model; `*`: all base models without a separate price. */
  model: string;
  /** Of a unit, in the operator's money. */
  price: number;
  /** What the price is for. */
  unit: string;
  /** Unix seconds. */
  valid_from: number;
}

export interface UsageResult {
  object: 'usage.result';
  /** For the operator. Null: it is your own. */
  team_id: string | null;
  /** With `group_by=model`; null also of what is no model’s. */
  model: string | null;
  /** With `group_by=api_key_id`; null also of people who are signed in. */
  api_key_id: string | null;
  /** With `group_by=job_id`; null also of what is no job’s. */
  job_id: string | null;
  /** With `group_by=kind`. */
  kind: 'trained_tokens' | 'device_seconds' | 'stored_bytes' | 'input_tokens' | 'output_tokens' | null;
  /** By jobs, each step once, as it was checkpointed or the job ended. */
  trained_tokens: number;
  /** Of attempts to train, lost ones too. */
  device_seconds: number;
  /** Of prompts. */
  input_tokens: number;
  /** Of answers, also those that were cut off. */
  output_tokens: number;
  /** Completions. */
  num_model_requests: number;
  /** Of files, uploads and adapters at the end of the day, or now. */
  stored_bytes: number;
  /** GiB times the days that they were stored. */
  stored_gib_days: number;
  /** By the prices of its time, in the operator's money. */
  cost: number;
}

export interface WebhookDelivery {
  id: string;
  object: 'webhook.delivery';
  /** Unix seconds. */
  created_at: number;
  /** The endpoint. */
  webhook_id: string;
  /** The header webhook-id. */
  event_id: string;
  event_type: string;
  data: {
    id: string;
  };
  /** pending; delivered: answered with 2xx; failed: not delivered within a day. */
  status: 'pending' | 'delivered' | 'failed';
  attempts: number;
  /** Unix seconds. */
  last_attempt_at: number | null;
  /** Of the last answer. */
  last_status: number | null;
  last_error: string | null;
  /** At the earliest: earlier events of the same job come first. */
  next_attempt_at: number | null;
  /** When delivery attempts end. */
  expires_at: number | null;
  /** Unix seconds. */
  ended_at: number | null;
}

export interface WebhookEndpoint {
  id: string;
  object: 'webhook.endpoint';
  /** Unix seconds. */
  created_at: number;
  url: string;
  description: string | null;
  events: ('fine_tuning.job.succeeded' | 'fine_tuning.job.failed' | 'fine_tuning.job.cancelled' | 'fine_tuning.job.running' | 'fine_tuning.job.paused' | 'budget.warning' | 'budget.exceeded')[];
  /** False: nothing is sent to it, and new events are not kept for it. */
  enabled: boolean;
  /** Unix seconds. */
  disabled_at: number | null;
  disabled_reason: string | null;
  /** The first failure since anything was last delivered. */
  failing_since: number | null;
}

export interface WebhookEndpointWithSecret {
  id: string;
  object: 'webhook.endpoint';
  /** Unix seconds. */
  created_at: number;
  url: string;
  description: string | null;
  events: ('fine_tuning.job.succeeded' | 'fine_tuning.job.failed' | 'fine_tuning.job.cancelled' | 'fine_tuning.job.running' | 'fine_tuning.job.paused' | 'budget.warning' | 'budget.exceeded')[];
  /** False: nothing is sent to it, and new events are not kept for it. */
  enabled: boolean;
  /** Unix seconds. */
  disabled_at: number | null;
  disabled_reason: string | null;
  /** The first failure since anything was last delivered. */
  failing_since: number | null;
  /** `whsec_…`: verifies signatures. It is never shown again. */
  secret: string;
}

export interface WebhookTest {
  object: 'webhook.test';
  /** The webhook-id of what is about to arrive. */
  event_id: string;
}

export interface Worker {
  id: string;
  object: 'worker';
  hostname: string;
  /** Jobs it trains at once. */
  slots: number;
  running: number;
  /** Completions being answered. */
  load: number;
  /** Loaded for serving. */
  base_models: string[];
  /** It accepts no new work. */
  draining: boolean;
  device: string | null;
  /** Models of its GPUs, as nvidia-smi names them; null: it has none, or is of a version that does not say. */
  gpus: string[] | null;
  /** Why some of its GPUs accept no jobs: one text per GPU with the error code and how to fix it. */
  gpu_faults: string[];
  threads: number | null;
  /** What one of its trainers may hold at most; null: not known. */
  memory_bytes: number | null;
  /** Floating-point operations in a second of matrix products, by precision, as measured there; null: not yet. */
  flops: {
    fp32?: number;
    bf16?: number;
  } | null;
  /** What keeps its trainers from the rest of the machine, such as `user`, `files` and `system-calls`; null: not known. */
  confinement: string[] | null;
  /** Unix seconds. */
  started_at: number;
  /** Unix seconds. */
  heartbeat_at: number;
  /** Consecutive failures of the worker itself. */
  consecutive_faults: number;
  /** Since then it gets no jobs. */
  quarantined_at: number | null;
  quarantine_reason: string | null;
  /** Of Graft, with its commit if that is known. */
  version: string | null;
  /** Of what API and workers say to each other for completions: another number than the API has means that it answers none. Null: of a version without that number. */
  protocol: number | null;
  /** Jobs that it holds, by whose they are. */
  leases: {
    team_id: string;
    team_name: string;
    /** Each attempt at a job has a greater one. */
    lease_epoch: number;
    /** Unix seconds. */
    since: number;
    /** Unix seconds: it is lost then, unless the worker renews it. */
    until: number;
    /** It was asked to checkpoint and go elsewhere. */
    leaving: boolean;
  }[];
}

/** What operations take in the query string. */
export interface Queries {
  'DELETE /v1/admin/teams/{team_id}': {
    /** The name of the team, to be sure. */
    name: string;
  };
  'DELETE /v1/fine_tuning/jobs/{fine_tuning_job_id}': {
    /** Whether the adapter that the job made stays, without its job, or is deleted too; then it can be restored for a time. */
    adapters?: 'keep' | 'delete';
  };
  'DELETE /v1/team': {
    /** The name of the team, to be sure. */
    name: string;
  };
  'DELETE /v1/team/keys/{key_id}': {
    /** `revoke`: also revokes all keys created with it, directly or indirectly, with their invitations and webhooks, since a thief knows the secrets that a stolen key created. `keep`: only the key and its own invitations end. */
    descendants?: 'revoke' | 'keep';
  };
  'GET /v1/adapters': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
    base_model?: string;
    name?: string;
    /** Part of the name, in any case. */
    search?: string;
    /** Unix seconds: only what was created then or later. */
    created_after?: number;
    /** Unix seconds: only what was created earlier. */
    created_before?: number;
  };
  'GET /v1/adapters/compare': {
    /** Name of a fine-tuned model, or of a tag. */
    a: string;
    /** The one that it is compared with. */
    b: string;
  };
  'GET /v1/adapters/deleted': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/adapters/{adapter_id}/versions': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/admin/audit/chains': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/admin/audit/chains/{chain_id}/check': {
    /** Sequence of the last entry of the page before. */
    after?: number;
    limit?: number;
  };
  'GET /v1/admin/base-models': {
    /** Id of the last one of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/admin/keys': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/admin/people': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
    /** Only the person with this email, in any case. */
    email?: string;
  };
  'GET /v1/admin/prices': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/admin/teams': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
    /** Only the team of this name. */
    name?: string;
  };
  'GET /v1/admin/teams/{team_id}/keys': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/admin/usage': {
    /** Unix seconds; the day that it lies in is the first. At most 366 days before end_time. */
    start_time: number;
    /** Unix seconds, exclusive; default now. */
    end_time?: number;
    /** A day, as OpenAI names it. */
    bucket_width?: '1d';
    /** Days of a page. */
    limit?: number;
    /** next_page of the page before. */
    page?: string;
    /** csv: the same as a table, with the header x-next-page. `Accept: text/csv` asks for it, too. */
    format?: 'json' | 'csv';
    /** Of this team alone; default all. */
    team_id?: string;
    /** One or several of model, api_key_id, kind, separated by commas. Results are always grouped by team, and models are base models. */
    group_by?: string;
  };
  'GET /v1/admin/workers': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/audit': {
    /** `job.cancel`, or the beginning with a `*` behind: `job.*`. */
    action?: string;
    /** The key or the person that acted, `graft_admin`, or `graft`. */
    actor?: string;
    target?: string;
    /** Unix seconds. */
    since?: number;
    /** Unix seconds. */
    until?: number;
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/audit/export': {
    /** `job.cancel`, or the beginning with a `*` behind: `job.*`. */
    action?: string;
    /** The key or the person that acted, `graft_admin`, or `graft`. */
    actor?: string;
    target?: string;
    /** Unix seconds. */
    since?: number;
    /** Unix seconds. */
    until?: number;
    /** Id of the last object of the page before. */
    after?: string;
    format?: 'jsonl' | 'csv';
    limit?: number;
  };
  'GET /v1/files': {
    purpose?: string;
    filename?: string;
    /** Unix seconds: only what was created then or later. */
    created_after?: number;
    /** Unix seconds: only what was created earlier. */
    created_before?: number;
    order?: 'asc' | 'desc';
    /** Id of the last object of the page before. */
    after?: string;
    /** At most 1000 are returned, even if more are requested. */
    limit?: number;
  };
  'GET /v1/files/{file_id}/report': {
    /** A base model whose tokens are counted. */
    model?: string;
    /** By default the most that training takes: the context of the model. */
    max_seq_length?: number;
  };
  'GET /v1/fine_tuning/jobs': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
    status?: 'validating_files' | 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';
    /** Id of the base model. */
    model?: string;
    /** Id of a person or a key, as jobs have it. */
    created_by?: string;
    /** Part of the id, the suffix, the model or the name of the fine-tuned model, in any case. */
    search?: string;
    /** Unix seconds: only what was created then or later. */
    created_after?: number;
    /** Unix seconds: only what was created earlier. */
    created_before?: number;
    /** `metadata[key]=value`: only jobs that have all these pairs. */
    metadata?: Record<string, string>;
  };
  'GET /v1/fine_tuning/jobs/losses': {
    /** Of up to 100 jobs, with commas between them. */
    ids: string;
    /** Of each curve, at most. */
    points?: number;
  };
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/attempts': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
    /** Also the steps that training can resume from and whose adapter is not kept: they have `available` false, and their names answer 404. */
    all?: boolean;
  };
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
    /** Server-sent events instead of a page: every event from the first one, then live events, `data: [DONE]` after the last. Last-Event-ID continues after that event. */
    stream?: boolean;
  };
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/metrics': {
    /** Only what follows this step. Page on with the last step of the page before. */
    after_step?: number;
    /** Steps of one page. A step that was evaluated has two metrics. */
    limit?: number;
    /** With `resolution`: only what is up to this step. */
    until_step?: number;
    /** Returns the whole series instead of a page, downsampled to at most this many buckets of equal width, each with its last step and its `stretch`; `limit` does not apply. */
    resolution?: number;
  };
  'GET /v1/fine_tuning/options': {
    /** As a new job takes it. */
    model?: string;
    /** The same. */
    start_from?: string;
  };
  'GET /v1/me/sessions': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/models': {
    /** Id of the last model of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/sign-in': {
    /** A path of this server to go on to, such as /v1/me, which any other value becomes. */
    return_to?: string;
    /** The team to work in, by id or name. Absent: the first that a group gave, or else that was joined. */
    team?: string;
    /** The provider asks the person again who they are, as operators must show every hour. The session works on in its team. */
    reauthenticate?: boolean;
  };
  'GET /v1/sign-in/callback': {
    code?: string;
    state?: string;
    iss?: string;
    error?: string;
  };
  'GET /v1/team/invitations': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/team/keys': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/team/members': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/uploads': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
    status?: 'pending' | 'completed' | 'cancelled' | 'expired';
  };
  'GET /v1/uploads/{upload_id}/parts': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/usage': {
    /** Unix seconds; the day that it lies in is the first. At most 366 days before end_time. */
    start_time: number;
    /** Unix seconds, exclusive; default now. */
    end_time?: number;
    /** A day, as OpenAI names it. */
    bucket_width?: '1d';
    /** Days of a page. */
    limit?: number;
    /** next_page of the page before. */
    page?: string;
    /** csv: the same as a table, with the header x-next-page. `Accept: text/csv` asks for it, too. */
    format?: 'json' | 'csv';
    /** One or several of model, api_key_id, job_id, kind, with commas between. */
    group_by?: string;
  };
  'GET /v1/webhooks': {
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
  'GET /v1/webhooks/{webhook_id}/deliveries': {
    status?: 'pending' | 'delivered' | 'failed';
    /** Id of the last object of the page before. */
    after?: string;
    limit?: number;
  };
}
