import type { FileObject, FileReport, ReportResult, ReportTokens } from '@graft/client';
import { keepPreviousData, useQuery } from '@tanstack/preact-query';
import { BadLines } from '../../components/bad-lines.tsx';
import { Select, TextField } from '../../components/forms/field.tsx';
import { type Fact, Facts } from '../../components/lists/facts.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Problem } from '../../components/problem.tsx';
import { graft } from '../../data/graft.ts';
import { useModels } from '../../data/models.ts';
import { useQueryState } from '../../router/query-state.ts';
import { bytes, count, counted, percent } from '../../text/numbers.ts';
import { TokenReport } from './token-report.tsx';

/** What a base model would see in the file; which one and how long a sequence stands in the address. */
export function Report({ file }: { file: FileObject }) {
  const [{ model, length }, setState] = useQueryState({ model: '', length: '' });
  const models = useModels();
  const bases = (models.data ?? []).filter(({ base_model }) => base_model === null).map(({ id }) => id);
  const chosen = model || bases[0] || '';
  const longest = Number(length);
  const isLength = length === '' || (Number.isInteger(longest) && longest >= 1 && longest <= 1_048_576);
  const report = useQuery({
    queryKey: ['file-report', file.id, chosen, length],
    queryFn: ({ signal }) =>
      graft.files.report(file.id, {
        signal,
        ...(chosen && { model: chosen }),
        ...(chosen && length && { maxSeqLength: longest }),
      }),
    enabled: (models.isSuccess || models.isError) && isLength,
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => (state.data?.status === 'running' ? 700 : false),
  });
  return (
    <section class="file-report" aria-labelledby="file-report" aria-busy={report.data?.status === 'running'}>
      <h2 id="file-report">What a model sees in it</h2>
      <div class="file-choice">
        <Select
          label="Model"
          value={chosen}
          onValue={(value) => setState({ model: value })}
          options={bases.length > 0 ? bases.map((id) => [id, id] as const) : [['', 'None']]}
        />
        <TextField
          label="Longest example, in tokens"
          inputMode="numeric"
          placeholder={String(report.data?.report?.tokens?.max_seq_length ?? 'as training takes it')}
          value={length}
          error={isLength ? null : 'A whole number of at least 1.'}
          onValue={(value) => setState({ length: value.trim() })}
        />
      </div>
      {report.error ? (
        <Problem error={report.error} onRetry={report.refetch} />
      ) : (
        report.data && <State {...report.data} />
      )}
    </section>
  );
}

function State({ status, progress, report, error, model }: FileReport) {
  if (status === 'failed') {
    return (
      <p class="field-error" role="alert">
        {error?.message}
      </p>
    );
  }
  if (!report) {
    const share = progress && progress.total_bytes > 0 ? progress.bytes / progress.total_bytes : 0;
    return (
      <div class="file-progress">
        <Meter value={share} label="The file is read" />
        <p class="small soft">
          {progress
            ? `${bytes(progress.bytes)} of ${bytes(progress.total_bytes)} read, ${counted(progress.examples, 'example')}.`
            : 'The file is about to be read.'}
        </p>
      </div>
    );
  }
  return (
    <>
      <Lines report={report} />
      {report.tokens && <TokenReport tokens={report.tokens} model={model ?? ''} />}
    </>
  );
}

function Lines({ report: { lines, examples, bad_lines, duplicates, tokens } }: { report: ReportResult }) {
  return (
    <>
      <Facts
        facts={[
          { name: 'Lines', value: count(lines) },
          { name: 'Examples', value: count(examples) },
          { name: 'Bad lines', value: count(bad_lines.count) },
          { name: 'Duplicates', value: `${duplicates.exact ? '' : 'about '}${count(duplicates.count)}` },
          ...(tokens ? factsOf(tokens) : []),
        ]}
      />
      {bad_lines.count > 0 && (
        <section class="file-part">
          <h3>Lines that this model cannot learn from</h3>
          <BadLines label="Bad lines" lines={bad_lines.listed} total={bad_lines.count} />
        </section>
      )}
      {tokens && tokens.too_long.count > 0 && (
        <section class="file-part">
          <h3>Examples that are too long</h3>
          <p class="soft">
            Longer than {count(tokens.max_seq_length)} tokens. A job splits plain texts and refuses others.
            Shorten them, train with a larger max_seq_length, or set overlong to truncate or skip.
          </p>
          <BadLines
            label="Examples that are too long"
            lines={tokens.too_long.listed.map((each) => ({
              line: each.line,
              message: `has ${counted(each.tokens, 'token')}`,
            }))}
            total={tokens.too_long.count}
          />
        </section>
      )}
      {tokens && tokens.special_tokens.count > 0 && (
        <section class="file-part">
          <h3>Special tokens in content</h3>
          <p class="soft">
            {counted(tokens.special_tokens.count, 'special token')} in messages, prompts and completions. A
            job reads them as plain text, unless allow_special_tokens is true.
          </p>
          <BadLines
            label="Special tokens in content"
            lines={tokens.special_tokens.listed.map((each) => ({
              line: each.line,
              message: `has ${counted(each.count, 'special token')}`,
            }))}
          />
        </section>
      )}
      {duplicates.count > 0 && (
        <section class="file-part">
          <h3>Examples that are there twice</h3>
          <BadLines
            label="Duplicates"
            lines={duplicates.listed.map(({ line, first_line }) => ({
              line,
              message: `is line ${count(first_line)} again`,
            }))}
            total={duplicates.count}
          />
        </section>
      )}
    </>
  );
}

function factsOf({ total, learnt, too_long }: ReportTokens): Fact[] {
  const share = learnt === null || total === 0 ? null : learnt / total;
  return [
    { name: 'Tokens an epoch', value: count(total) },
    {
      name: 'Of them learnt',
      value: learnt === null ? 'by classes' : count(learnt),
      ...(share !== null && { note: percent(share) }),
    },
    { name: 'Too long', value: count(too_long.count) },
  ];
}
