import type { FileObject } from '@graft/client';
import { useInfiniteQuery, useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Link } from 'wouter-preact';
import '../../styles/pages/files.css';
import { Empty } from '../../components/empty.tsx';
import { Button, LinkButton } from '../../components/forms/button.tsx';
import { DropZone } from '../../components/forms/drop-zone.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { Table } from '../../components/lists/table.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { useMay } from '../../data/session.ts';
import { sendFiles } from '../../data/uploads.ts';
import { useQueryState } from '../../router/query-state.ts';
import { bytes, count } from '../../text/numbers.ts';
import { DeleteFile } from './delete-file.tsx';
import { Sendings } from './sendings.tsx';
import { Unfinished, usePendingUploads } from './unfinished.tsx';

const pageSize = 200;

/** The team's training data: what is there, and the way for more. */
export function Files() {
  const mayUpload = useMay('files:write');
  return (
    <>
      <PageHead title="Files">
        <p class="soft">Examples to train on: JSON lines, one example a line.</p>
      </PageHead>
      {mayUpload && (
        <>
          <DropZone label="Upload files" onFiles={sendFiles}>
            <p>
              …or drop them here. Every line is checked, and what is wrong with it is told by its number. A
              large file goes in parts: choose it again after a break, and it goes on where it was.
            </p>
          </DropZone>
          <Sendings />
        </>
      )}
      <List mayUpload={mayUpload} />
    </>
  );
}

function List({ mayUpload }: { mayUpload: boolean }) {
  const [{ q }, setState] = useQueryState({ q: '' });
  const [unwanted, setUnwanted] = useState<FileObject | null>(null);
  const uploads = usePendingUploads(mayUpload);
  const files = useInfiniteQuery({
    queryKey: ['files', 'fine-tune'],
    queryFn: ({ pageParam }) =>
      graft.files.list({ purpose: 'fine-tune', limit: pageSize }).page(pageParam || undefined),
    initialPageParam: '',
    getNextPageParam: (last) => (last.has_more ? last.data.at(-1)?.id : undefined),
  });
  if (files.error && !files.data) return <Problem error={files.error} onRetry={files.refetch} />;
  // Not one before the other, which would be pushed down.
  if (!files.data || uploads.isLoading) return <Waiting />;
  const all = files.data.pages.flatMap(({ data }) => data);
  const unfinished = mayUpload && <Unfinished />;
  if (all.length === 0) {
    return (
      <>
        {unfinished}
        <None mayUpload={mayUpload} />
      </>
    );
  }
  const wanted = q.toLowerCase();
  const shown = all.filter(({ filename, id }) => filename.toLowerCase().includes(wanted) || id === q);
  return (
    <>
      {unfinished}
      <div class="files-find">
        <TextField
          label="Find by name"
          bare
          type="search"
          placeholder="Find by name"
          value={q}
          onValue={(value) => setState({ q: value })}
        />
        <span class="soft small" role="status">
          {count(shown.length)} of {count(all.length)}
          {files.hasNextPage && ' and more'}
        </span>
      </div>
      <Table
        label="Files"
        rows={shown}
        rowKey={({ id }) => id}
        minWidth="60rem"
        columns={[
          {
            head: 'Name',
            names: true,
            cell: ({ id, filename }) => (
              <Link href={`/files/${id}`} class="cut" title={filename}>
                {filename}
              </Link>
            ),
          },
          { head: 'Kind', cell: ({ format }) => format ?? '–', width: '9rem' },
          { head: 'Examples', cell: ({ examples }) => count(examples), end: true, width: '7rem' },
          { head: 'Size', cell: (file) => bytes(file.bytes), end: true, width: '7rem' },
          { head: 'Uploaded', cell: ({ created_at }) => <Time at={created_at} />, width: '8rem' },
          {
            head: <span class="visually-hidden">Actions</span>,
            width: '15.5rem',
            end: true,
            cell: (file) => <Actions file={file} mayUpload={mayUpload} onDelete={() => setUnwanted(file)} />,
          },
        ]}
      />
      {files.hasNextPage && (
        <Button busy={files.isFetchingNextPage} onClick={() => files.fetchNextPage()}>
          Show older files
        </Button>
      )}
      {unwanted && <DeleteFile file={unwanted} onClose={() => setUnwanted(null)} />}
    </>
  );
}

function Actions({
  file: { id, filename },
  mayUpload,
  onDelete,
}: {
  file: FileObject;
  mayUpload: boolean;
  onDelete: () => void;
}) {
  const mayTrain = useMay('jobs:write');
  return (
    <span class="files-actions">
      {mayTrain && (
        <LinkButton small kind="quiet" href={`/jobs/new?file=${id}`}>
          Train <span class="visually-hidden">on {filename}</span>
        </LinkButton>
      )}
      <a class="button" data-kind="quiet" data-small href={`/v1/files/${id}/content`} download={filename}>
        Download <span class="visually-hidden">{filename}</span>
      </a>
      {mayUpload && (
        <Button small kind="quiet" onClick={onDelete}>
          Delete <span class="visually-hidden">{filename}</span>
        </Button>
      )}
    </span>
  );
}

const None = ({ mayUpload }: { mayUpload: boolean }) => (
  <Empty title="No training data yet">
    <p>
      {mayUpload
        ? 'Upload a file of JSON lines. Each line is one example, in one of these shapes:'
        : 'Nobody of your team has uploaded any, and your role is to look.'}
    </p>
    {mayUpload && <Formats />}
  </Empty>
);

/** What a line can be. */
function Formats() {
  const { data } = useQuery({
    queryKey: ['job-options', '', ''],
    queryFn: () => graft.fineTuning.jobs.options(),
    staleTime: 60_000,
  });
  return (
    <ul class="files-shapes">
      {data?.formats.map(({ name, title, sample }) => (
        <li key={name}>
          {title}: <code>{sample}</code>
        </li>
      ))}
    </ul>
  );
}
