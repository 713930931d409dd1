import type { FileObject, FileReport, ReportChats, ReportResult, ReportTokens } from '@graft/client';
import { keepPreviousData, useQuery } from '@tanstack/preact-query';
import type { ComponentChildren } from 'preact';
import { FieldError, Select, TextField } from '../../components/forms/field.tsx';
import { InvalidLines } from '../../components/invalid-lines.tsx';
import { type Fact, Facts } from '../../components/lists/facts.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Problem } from '../../components/problem.tsx';
import { fileContent } from '../../data/file-content.ts';
import { graft } from '../../data/graft.ts';
import { useBaseModels, useModels } from '../../data/models.ts';
import { usePermission } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { mappingFault, mappingIn, mappingText } from '../../text/columns.ts';
import { bytes, count, counted, percent } from '../../text/numbers.ts';
import { CorrectLines, OtherKindHint } from '../files/correct-lines.tsx';
import { JudgementFacts, PairFacts } from './preference-facts.tsx';
import { TokenReport } from './token-report.tsx';

/** The token report of a file. The base model and the maximum length are in the URL. */
export function Report({ file }: { file: FileObject }) {
  const [{ model, length, columns }, setState, field] = useQueryState({ model: '', length: '', columns: '' });
  const mapping = mappingIn(columns);
  const models = useModels();
  const bases = useBaseModels();
  const chosen = model || bases[0] || '';
  const maxLength = Number(length);
  const isLength = length === '' || (Number.isInteger(maxLength) && maxLength >= 1 && maxLength <= 1_048_576);
  const report = useQuery({
    queryKey: ['file-report', file.id, chosen, length, mapping ? columns : ''],
    queryFn: ({ signal }) =>
      graft.files.report(file.id, {
        signal,
        ...(chosen && { model: chosen }),
        ...(chosen && length && { maxSeqLength: maxLength }),
        ...(mapping && { columns: mapping }),
      }),
    enabled: (models.isSuccess || models.isError) && isLength && mappingFault(columns) === null,
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => (state.data?.status === 'running' ? 700 : false),
  });
  return (
    <section class="stack" aria-labelledby="file-report" aria-busy={report.data?.status === 'running'}>
      <h2 id="file-report">Preview and token report</h2>
      <div class="file-choice">
        <Select
          label="Model"
          {...field('model')}
          value={chosen}
          options={bases.length > 0 ? bases : [['', 'None']]}
        />
        <TextField
          label="Maximum tokens per example"
          inputMode="numeric"
          placeholder={String(report.data?.report?.tokens?.max_seq_length ?? 'Automatic')}
          value={length}
          error={isLength ? null : 'Must be a whole number of at least 1.'}
          onValue={(value) => setState({ length: value.trim() })}
        />
        <TextField
          label="Columns"
          placeholder={file.columns ? mappingText(file.columns) : 'prompt=question, completion=answer'}
          value={columns}
          error={mappingFault(columns)}
          onValue={(value) => setState({ columns: value })}
        />
      </div>
      {report.error ? (
        <Problem error={report.error} onRetry={report.refetch} />
      ) : (
        report.data && <ReportView file={file} {...report.data} />
      )}
    </section>
  );
}

function ReportView({ file, status, progress, report, error, model }: FileReport & { file: FileObject }) {
  if (status === 'failed') return <FieldError text={error?.message} />;
  if (!report) return <ReadingProgress progress={progress} />;
  return (
    <>
      <Lines key={JSON.stringify([model, report.recognised?.columns])} file={file} report={report} />
      {report.tokens && <TokenReport tokens={report.tokens} model={model ?? ''} />}
    </>
  );
}

/** How much of a file is read. Null: none yet. */
export const ReadingProgress = ({ progress }: Pick<FileReport, 'progress'>) => (
  <div class="file-progress tight">
    <Meter
      value={progress && progress.total_bytes > 0 ? progress.bytes / progress.total_bytes : 0}
      label="Reading file"
    />
    <p class="small soft">
      {progress
        ? `${bytes(progress.bytes)} of ${bytes(progress.total_bytes)} read, ${counted(progress.examples, 'example')}.`
        : 'Waiting to read the file.'}
    </p>
  </div>
);

function Lines({ file, report }: { file: FileObject; report: ReportResult }) {
  const { recognised, lines, examples, bad_lines, duplicates, weights, chats, pairs, judgements, tokens } =
    report;
  const unread = report.unread_columns;
  return (
    <>
      <Facts
        facts={[
          ...(recognised ? recognisedFacts(recognised) : []),
          { name: 'Lines', value: count(lines) },
          { name: 'Examples', value: count(examples) },
          { name: 'Invalid lines', value: count(bad_lines.count) },
          { name: 'Duplicates', value: `${duplicates.exact ? '' : 'about '}${count(duplicates.count)}` },
          ...(weights.count > 0
            ? [
                {
                  name: 'Weighted',
                  value: count(weights.count),
                  ...(weights.zero > 0 && { note: `${count(weights.zero)} of weight 0, left out` }),
                },
              ]
            : []),
          ...(tokens ? tokenFacts(tokens) : []),
        ]}
      />
      {unread.length > 0 && (
        <section class="panel file-part">
          <h3>Columns that are not read</h3>
          <p class="soft">
            No example reads them. If one belongs to the examples, rename it, or enter the columns above.
          </p>
          <Facts facts={unread.map(({ name, values }) => ({ name, value: counted(values, 'value') }))} />
        </section>
      )}
      {chats && <ChatCounts chats={chats} />}
      {pairs && <PairFacts pairs={pairs} />}
      {judgements && <JudgementFacts judgements={judgements} />}
      {bad_lines.count > 0 && (
        <LineSection title="Invalid lines" lines={bad_lines.listed} total={bad_lines.count}>
          <Correct file={file} report={report} />
        </LineSection>
      )}
      {tokens && tokens.too_long.count > 0 && (
        <LineSection
          title="Examples that are too long"
          text={`Longer than ${count(tokens.max_seq_length)} tokens. A job splits plain text and rejects other examples. Shorten them, increase max_seq_length, or set overlong to truncate or skip.`}
          lines={tokens.too_long.listed.map((each) => ({
            line: each.line,
            message: `has ${counted(each.tokens, 'token')}`,
          }))}
          total={tokens.too_long.count}
        />
      )}
      {tokens && tokens.special_tokens.count > 0 && (
        <LineSection
          title="Special tokens in content"
          text={`${counted(tokens.special_tokens.count, 'special token')} in messages, prompts and completions. A job reads them as plain text, unless allow_special_tokens is true.`}
          lines={tokens.special_tokens.listed.map((each) => ({
            line: each.line,
            message: `has ${counted(each.count, 'special token')}`,
          }))}
        />
      )}
      {duplicates.count > 0 && (
        <LineSection
          title="Duplicate examples"
          lines={duplicates.listed.map(({ line, first_line }) => ({
            line,
            message: `duplicate of line ${count(first_line)}`,
          }))}
          total={duplicates.count}
        />
      )}
    </>
  );
}

/** Corrects the invalid lines, if they are lines that can be edited. */
function Correct({ file, report: { recognised, bad_lines } }: { file: FileObject; report: ReportResult }) {
  const canWrite = usePermission('files:write');
  if (!canWrite || !recognised) return null;
  const { kind, compression, columns } = recognised;
  if (kind !== 'jsonl' || compression !== null) return <OtherKindHint isCompressed={kind === 'jsonl'} />;
  const { id, filename, bytes: size } = file;
  return (
    <div>
      <CorrectLines
        name={filename}
        columns={columns ?? undefined}
        read={({ signal, onProgress }) =>
          fileContent(id, { signal, onProgress: (received) => onProgress(received / size) })
        }
        faults={bad_lines.listed}
        total={bad_lines.count}
      />
    </div>
  );
}

function ChatCounts({
  chats: { messages, trained_messages, split, with_tools, tool_calls, tools },
}: {
  chats: ReportChats;
}) {
  return (
    <section class="panel file-part short-tables">
      <h3>Messages</h3>
      <Facts
        facts={[
          ...messages.map(({ role, count: all }) => ({
            name: role,
            value: count(all),
            ...(role === 'assistant' && { note: `${count(trained_messages)} trained on` }),
          })),
          ...(with_tools > 0
            ? [
                { name: 'Examples with tools', value: count(with_tools) },
                { name: 'Tool calls', value: count(tool_calls) },
              ]
            : []),
        ]}
      />
      {split && split.count > 0 && (
        <p class="small">
          {counted(split.count, 'conversation')} {split.count === 1 ? 'is' : 'are'} split into{' '}
          {counted(split.examples, 'example')}, one for each message that is trained on: the chat template of
          this model writes earlier messages differently than the last.
        </p>
      )}
      {tools.length > 0 && (
        <details>
          <summary class="small">Show tools</summary>
          <table>
            <thead>
              <tr>
                <th scope="col">Tool</th>
                <th scope="col">Examples</th>
                <th scope="col">Calls</th>
              </tr>
            </thead>
            <tbody>
              {tools.map(({ name, examples, calls }) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td>{count(examples)}</td>
                  <td>{count(calls)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
    </section>
  );
}

const LineSection = ({
  title,
  text,
  children,
  ...lines
}: { title: string; text?: string; children?: ComponentChildren } & Omit<
  Parameters<typeof InvalidLines>[0],
  'label'
>) => (
  <section class="panel file-part short-tables">
    <h3>{title}</h3>
    {text && <p class="soft">{text}</p>}
    <InvalidLines label={title} {...lines} />
    {children}
  </section>
);

function recognisedFacts({
  kind,
  compression,
  shape,
  columns,
}: NonNullable<ReportResult['recognised']>): Fact[] {
  const mapping = columns && Object.entries(columns).map(([field, column]) => `${field} ← ${column}`);
  return [
    {
      name: 'Recognised as',
      value: shape ?? kind,
      note: [shape && kind, compression].filter(Boolean).join(', '),
    },
    ...(mapping ? [{ name: 'Columns', value: mapping.join(', ') }] : []),
  ];
}

export function tokenFacts({ total, learnt, too_long }: ReportTokens): Fact[] {
  const share = learnt === null || total === 0 ? null : learnt / total;
  return [
    { name: 'Tokens per epoch', value: count(total) },
    {
      name: 'Trained on',
      value: learnt === null ? 'class labels' : count(learnt),
      ...(share !== null && { note: percent(share) }),
    },
    { name: 'Too long', value: count(too_long.count) },
  ];
}
