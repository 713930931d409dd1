import { type FileReport, GraftApiError, type JobEstimateParams } from '@graft/client';
import { keepPreviousData, useQuery } from '@tanstack/preact-query';
import { useEffect, useState } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { FieldError, Select } from '../../components/forms/field.tsx';
import { InvalidLines } from '../../components/invalid-lines.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Problem } from '../../components/problem.tsx';
import { graft } from '../../data/graft.ts';
import { useDebouncedValue } from '../../data/use-debounced-value.ts';
import { useTrainingFiles } from '../../data/use-training-files.ts';
import { bytes, count, counted } from '../../text/numbers.ts';
import { ReadingProgress, tokenFacts } from '../file/report.tsx';
import { ExamplePreviews } from '../file/token-report.tsx';
import { type Draft, fileRows, groupFaults } from './draft.ts';

/** Bytes of a file that is read as soon as it is chosen, in a second or so; a larger one is read on request. */
const readAtOnce = 16 * 1024 * 1024;

/** The training file that the page shows as the job would read it. */
export type JobPreview = ReturnType<typeof usePreview>;

/**
 * The report of a training file for the draft, half a second after its last change. A newer draft waits until the report of the one
 * before is ready: the service computes one report of a team at a time. `isSound`: the API's check accepts its options.
 */
export function usePreview(draft: Draft, isSound: boolean) {
  const known = useTrainingFiles();
  const ids = [...new Set(fileRows(draft, 'training').flatMap(({ file }) => file || []))];
  const files = ids.map((id) => {
    const file = known.data?.find((each) => each.id === id);
    return { id, name: file?.filename ?? id, bytes: file?.bytes ?? null };
  });
  const [chosen, setFile] = useState('');
  const [started, setStarted] = useState('');
  const shown = files.find(({ id }) => id === chosen) ?? files[0];
  const file = shown?.id ?? '';
  const isLarge = started !== file && (shown?.bytes ?? readAtOnce) >= readAtOnce;
  // These do not belong to what is estimated or read.
  const { suffix: _, metadata: __, priority: ___, integrations: ____, ...job } = draft;
  const newest = useDebouncedValue({ file, job, isAsked: file !== '' && isSound && !isLarge }, 500);
  const [asked, setAsked] = useState(newest);
  const report = useQuery({
    queryKey: ['job-preview', asked.file, JSON.stringify(asked.job)],
    queryFn: ({ signal }) =>
      graft.files.report(asked.file, { job: asked.job as unknown as JobEstimateParams, signal }),
    enabled: asked.isAsked,
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => (state.data?.status === 'running' ? 700 : false),
    staleTime: 30_000,
    gcTime: 60_000,
  });
  const current = report.isPlaceholderData ? null : report.data;
  const isUnderWay = asked.isAsked && (report.isFetching || current?.status === 'running');
  const isNewest = JSON.stringify(asked) === JSON.stringify(newest);
  useEffect(() => {
    if (!isUnderWay && !isNewest) setAsked(newest);
  }, [isUnderWay, isNewest, newest]);
  const isOfFile = report.data?.file_id === file;
  const refused = report.error instanceof GraftApiError ? report.error : current?.error;
  return {
    files,
    /** Id of the shown file; empty without one. */
    file,
    setFile,
    /** True where the file waits for `start`, because it is large. */
    isLarge,
    start: () => setStarted(file),
    report: isOfFile ? (report.data ?? null) : null,
    error: report.error,
    retry: report.refetch,
    /** True where the report is of an earlier draft, or not ready. */
    isStale: isUnderWay || !isNewest,
    /** Errors that only reading the file finds, such as those of a chat template. */
    faults: isNewest && refused?.param ? groupFaults([refused]) : new Map<string, string>(),
  };
}

/** Examples of a training file as the job reads them: its template, the tokens that count towards the loss, and what is cut or left out. */
export function PreviewPart({ preview }: { preview: JobPreview }) {
  const { files, file, setFile, isLarge, start, report, error, retry, isStale } = preview;
  if (file === '')
    return <p class="soft">Choose a training file to see its examples as the job reads them.</p>;
  const size = files.find(({ id }) => id === file)?.bytes;
  return (
    <div class="job-preview panel" aria-busy={isStale}>
      {files.length > 1 && (
        <Select
          label="Shown file"
          value={file}
          onValue={setFile}
          options={files.map(({ id, name }) => [id, name] as const)}
        />
      )}
      {isLarge ? (
        <p>
          <Button small onClick={start}>
            {size ? `Read the file (${bytes(size)})` : 'Read the file'}
          </Button>
        </p>
      ) : error ? (
        <Problem error={error} onRetry={retry} />
      ) : report?.status === 'failed' ? (
        <FieldError text={report.error?.message} />
      ) : report?.report ? (
        <ReportedJob {...report} />
      ) : report || isStale ? (
        <ReadingProgress progress={report?.progress ?? null} />
      ) : (
        <p class="soft">The preview appears once the job has no problems.</p>
      )}
    </div>
  );
}

function ReportedJob({ file_id, job, report, model }: FileReport) {
  const { bad_lines: bad, tokens } = report!;
  if (!tokens) return null;
  const { examples = 0, truncated = 0, skipped = 0, zero_weight: zero = 0 } = tokens.counts ?? {};
  const left = [
    [truncated, 'truncated'],
    [skipped, 'skipped as too long'],
    [zero, 'of weight 0, left out'],
  ] as const;
  const note = left.flatMap(([number, what]) => (number > 0 ? [`${count(number)} ${what}`] : [])).join(', ');
  return (
    <>
      <Facts
        facts={[
          { name: 'Examples used', value: count(examples), ...(note && { note }) },
          ...tokenFacts(tokens),
          ...(tokens.by_role
            ? [{ name: 'Chat template', value: job?.has_chat_template ? 'of the job' : 'of the base model' }]
            : []),
        ]}
      />
      {bad.count > 0 && (
        <>
          <p>
            {counted(bad.count, 'line')} cannot be read by this job: see{' '}
            <a href={`/files/${file_id}`}>the file</a>.
          </p>
          <InvalidLines label="Invalid lines" lines={bad.listed} total={bad.count} isExcerpt />
        </>
      )}
      <ExamplePreviews tokens={tokens} model={model ?? ''} />
    </>
  );
}
