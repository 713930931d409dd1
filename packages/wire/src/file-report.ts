import { Type } from 'typebox';
import { LineFaultFields } from './error.ts';
import { ColumnsSchema } from './file.ts';
import { Counts } from './jobs/data-counts.ts';
import { input, named, nullable, oneOf, optional, ref, Time } from './schema.ts';

const count = (description?: string) => Type.Integer({ minimum: 0, ...(description ? { description } : {}) });

const BadLines = Type.Object({
  count: count(),
  listed: Type.Array(Type.Object({ ...LineFaultFields, line: count() }), {
    description: 'Faults, each listed once with all lines that have it.',
  }),
});

const Lengths = Type.Object({
  min: count(),
  max: count(),
  mean: Type.Number(),
  p50: count(),
  p90: count(),
  p99: count(),
  histogram: Type.Array(
    Type.Object({
      from: count(),
      to: count('End of the range, inclusive.'),
      examples: count(),
      longer: count('Number of examples longer than `to`: those that `max_seq_length` = `to` would cut.'),
    }),
  ),
});

const PartRole = oneOf(['template', 'system', 'developer', 'user', 'assistant', 'reasoning', 'tool'], {});

const Preview = Type.Object({
  line: count(),
  label: nullable(Type.String(), {
    description: 'Label of the example, if it has one for the whole text. Otherwise null.',
  }),
  weight: Type.Number({ description: 'Weight of the example in the loss.' }),
  dropped_reasoning: Type.Array(count(), {
    description:
      'Numbers of the messages, from 0, whose reasoning the chat template leaves out of this example. At most 100.',
  }),
  sequences: Type.Array(
    Type.Object({
      role: oneOf(['text', 'input', 'target', 'prompt', 'chosen', 'rejected'], {
        description:
          '`input` and `target`: of an encoder-decoder. `prompt`, `chosen` and `rejected`: of a pair, whose completions the model sees after the prompt each. `text`: anything else.',
      }),
      tokens: Type.Array(
        Type.Object({
          id: count(),
          text: Type.String({
            description:
              'Text that the token adds. Empty if the token is only the beginning of a character; the token that completes the character has all of it.',
          }),
          learnt: Type.Boolean({ description: 'Whether the token counts towards the loss.' }),
          role: nullable(PartRole, {
            description:
              'In a chat: what the token belongs to. `template` is what the chat template writes around messages. Null in other formats.',
          }),
          weight: Type.Number({
            description:
              'Weight of the token in the loss: that of its message times that of the example. 0 if it does not count.',
          }),
        }),
      ),
      left_out: count('Number of tokens not shown. The first 512 tokens of each sequence are shown.'),
    }),
  ),
});

export const Tokens = named('FileReportTokens', {
  task: Type.String({ description: 'Task that the model would be trained for, such as CAUSAL_LM.' }),
  counts: Type.Optional(
    Type.Object(Counts, {
      description:
        'What the planned job counts in this file, as in `data` of a job. Absent in a report without the options of a job.',
    }),
  ),
  total: count('Number of tokens of all examples in one epoch.'),
  learnt: nullable(count(), {
    description: 'Number of tokens that count towards the loss. Null if the loss is not computed on tokens.',
  }),
  lengths: nullable(Lengths, {
    description: 'Lengths of the examples in tokens, before any is truncated, skipped or split.',
  }),
  longest: Type.Array(Type.Object({ line: count(), tokens: count() }), {
    description: 'The ten longest examples, the longest first.',
  }),
  by_role: nullable(
    Type.Array(
      Type.Object({
        role: PartRole,
        tokens: count(),
        learnt: count('Number of these tokens that count towards the loss.'),
      }),
    ),
    {
      description:
        'Tokens of chats, and of preferences of chats, by what they belong to. Contents are searched in the text that the chat template writes: what it rewrites counts as `template`. Null for other data.',
    },
  ),
  max_seq_length: count(),
  too_long: Type.Object(
    { count: count(), listed: Type.Array(Type.Object({ line: count(), tokens: count() })) },
    {
      description:
        'Examples longer than `max_seq_length`. A job splits plain texts and rejects other examples, unless `training.overlong` says to truncate or skip them.',
    },
  ),
  special_tokens: Type.Object(
    { count: count(), listed: Type.Array(Type.Object({ line: count(), count: count() })) },
    {
      description:
        'Special tokens in the content of messages, in prompts and in completions. A job treats them as plain text unless `training.allow_special_tokens` is true.',
    },
  ),
  preview: Type.Array(Preview, { description: 'Three examples as the model sees them.' }),
});

export const Chats = named('FileReportChats', {
  messages: Type.Array(Type.Object({ role: Type.String(), count: count() }), {
    description: 'Number of messages by role.',
  }),
  trained_messages: count('Number of assistant messages that are trained on.'),
  with_tools: count('Number of examples that declare tools.'),
  split: nullable(
    Type.Object({
      count: count('Number of conversations that are split.'),
      examples: count('Number of examples that they become.'),
    }),
    {
      description:
        'Conversations that become several examples, one for each assistant message that is trained on, since the chat template of the model writes a message differently once others follow, such as without its reasoning. Null without a model.',
    },
  ),
  tool_calls: count(),
  tools: Type.Array(
    Type.Object({
      name: Type.String(),
      examples: count('Number of examples that declare it.'),
      calls: count(),
    }),
    { description: 'The tools that most examples declare, of the first 1,000 tools of the file.' },
  ),
});

export const Pairs = named('FileReportPairs', {
  count: count('Number of pairs.'),
  answers: nullable(
    Type.Object({
      chosen: Type.Number({ description: 'Mean number of tokens of chosen answers.' }),
      rejected: Type.Number({ description: 'Mean number of tokens of rejected answers.' }),
      chosen_longer: count('Number of pairs whose chosen answer is the longer one.'),
      rejected_longer: count('Number of pairs whose rejected answer is the longer one.'),
    }),
    { description: 'Lengths of answers, in tokens that count towards the loss. Null without a model.' },
  ),
});

const WeightRange = Type.Object({ from: Type.Number(), to: Type.Number() });

export const Judgements = named('FileReportJudgements', {
  desirable: count('Number of desirable completions.'),
  undesirable: count('Number of undesirable completions.'),
  suggested_weights: nullable(
    Type.Object({ desirable_weight: WeightRange, undesirable_weight: WeightRange }),
    {
      description:
        'For method kto: set one of the two weights in `training.preference` to a value in its range, so that desirable completions weigh 1 to 1.33 times as much as undesirable ones. Null if they do so without weights, or if there are none of a kind.',
    },
  ),
});

const Recognised = Type.Object(
  {
    kind: Type.String({ description: 'Kind of the file: jsonl, json, csv, tsv or parquet.' }),
    compression: nullable(Type.String(), { description: 'gzip or zstd.' }),
    shape: nullable(Type.String(), {
      description: 'Shape of the rows, such as sharegpt. Null: the rows are those of `format`.',
    }),
    columns: nullable(ColumnsSchema, { description: 'The mapping that was applied. Null: none.' }),
  },
  { description: 'What the file was recognised as.' },
);

export const Result = named(
  'FileReportResult',
  {
    recognised: nullable(Recognised),
    format: nullable(Type.String()),
    lines: count('Number of lines, including empty ones; rows of a table, or items of an array.'),
    examples: count(),
    bad_lines: BadLines,
    unread_columns: Type.Array(
      Type.Object({ name: Type.String(), values: count('Number of rows with a value in it.') }),
      {
        description:
          'Columns that no example reads, such as an id. If one belongs to the examples, rename it, or map the columns.',
      },
    ),
    duplicates: Type.Object(
      {
        count: count(),
        exact: Type.Boolean({
          description:
            'Whether the count is exact. False if there are too many different examples to count exactly.',
        }),
        listed: Type.Array(Type.Object({ line: count(), first_line: count() })),
      },
      { description: 'Examples that are identical to an earlier one.' },
    ),
    weights: Type.Object(
      {
        count: count('Number of examples with a weight other than 1, their own or that of a message.'),
        zero: count('Number of examples of weight 0, which are left out of training.'),
      },
      { description: 'Weights of examples in the loss.' },
    ),
    chats: nullable(ref(Chats), { description: 'Messages and tools of chats. Null for other formats.' }),
    pairs: nullable(ref(Pairs), {
      description: 'Chosen and rejected answers. Null for other formats than preference.',
    }),
    judgements: nullable(ref(Judgements), {
      description: 'Judged answers. Null for other formats than unpaired_preference.',
    }),
    tokens: nullable(ref(Tokens), { description: 'Token statistics. Null if no model was given.' }),
  },
  { description: 'Result of a report. Lists have at most 100 entries; counts include all.' },
);

const Job = Type.Object(
  {
    method: Type.String({ description: '`method.type` of the job.' }),
    overlong: Type.String(),
    train_on: Type.String(),
    mask_reasoning: Type.Boolean(),
    chat_template_kwargs: Type.Record(Type.String(), Type.Unknown()),
    has_chat_template: Type.Boolean({
      description: 'Whether the job, or the adapter that it continues from, brings a chat template.',
    }),
  },
  {
    description:
      'Options of the planned job, as the job would have them. Null: the report has default options, and shows examples in full.',
  },
);

const Fault = Type.Object({ code: Type.String(), message: Type.String(), param: nullable(Type.String()) });

export const FileReportSchema = named('FileReport', {
  object: Type.Literal('file.report'),
  file_id: Type.String(),
  model: nullable(Type.String()),
  max_seq_length: nullable(Type.Integer(), {
    description: 'Maximum sequence length, as requested. Null if it was not given.',
  }),
  job: nullable(Job),
  status: oneOf(['running', 'ready', 'failed']),
  progress: nullable(Type.Object({ bytes: count(), total_bytes: count(), examples: count() })),
  report: nullable(ref(Result), { description: 'Result. Null until the report is ready.' }),
  error: nullable(Fault),
  created_at: Time,
  finished_at: nullable(Time),
});

export const FileReportQuery = input(
  optional({
    columns: Type.String({
      maxLength: 8192,
      description:
        'JSON: which column of the file each field is in, such as {"prompt": "question"}. Default: the `columns` that the file was uploaded with.',
    }),
    model: Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'Id of the base model to count tokens for. If omitted, tokens are not counted.',
    }),
    max_seq_length: Type.Integer({
      minimum: 1,
      maximum: 1_048_576,
      description:
        'Maximum number of tokens of an example. Default: the maximum for training, which is the context length of the model.',
    }),
  }),
);
