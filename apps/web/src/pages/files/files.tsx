import type { FileObject, UploadObject } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Cut } from '../../components/cut.tsx';
import { Disclosure } from '../../components/disclosure.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button, DownloadLink, LinkButton } from '../../components/forms/button.tsx';
import { DropZone } from '../../components/forms/drop-zone.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { useAction } from '../../components/forms/form.tsx';
import { ShowMore } from '../../components/lists/more.tsx';
import { Table } from '../../components/lists/table.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { useJobOptions } from '../../data/job-options.ts';
import { usePages } from '../../data/pages.ts';
import { usePermission } from '../../data/session.ts';
import { uploadFiles, useUploads } from '../../data/uploads.ts';
import { useQueryState } from '../../router/query-state.ts';
import { bytes, count, percent } from '../../text/numbers.ts';
import { DeleteFile } from './delete-file.tsx';
import { UploadList } from './upload-list.tsx';
import { UploadOptionFields, useUploadOptions } from './upload-options.tsx';

export function Files() {
  const canUpload = usePermission('files:write');
  return (
    <>
      <PageHead title="Files">
        <p class="soft">
          Training data as JSON lines, a JSON array, CSV, TSV or Parquet, one example per row.
        </p>
      </PageHead>
      {canUpload && (
        <>
          <UploadPart />
          <UploadList />
        </>
      )}
      <List canUpload={canUpload} />
    </>
  );
}

function UploadPart() {
  const options = useUploadOptions();
  const onFiles = (sources: File[]) => {
    const given = options.read();
    if (given) uploadFiles(sources, given);
  };
  return (
    <div class="tight">
      <DropZone label="Upload files" onFiles={onFiles}>
        <p>
          …or drop them here. Every line is validated, and errors are shown with line numbers. Interrupted
          uploads resume when you select the same file again.
        </p>
      </DropZone>
      <UploadOptionFields {...options} />
    </div>
  );
}

function List({ canUpload }: { canUpload: boolean }) {
  const [{ q }, , field] = useQueryState({ q: '' });
  const uploads = usePendingUploads(canUpload);
  const files = usePages(['files', 'fine-tune'], () =>
    graft.files.list({ purpose: 'fine-tune', limit: 200 }),
  );
  if (files.error && !files.data) return <Problem error={files.error} onRetry={files.refetch} />;
  // Both at once, so that neither pushes the other down.
  if (!files.data || uploads.isLoading) return <Waiting />;
  const all = files.data.pages.flatMap(({ data }) => data);
  const unfinished = canUpload && <Unfinished />;
  if (all.length === 0) {
    return (
      <>
        {unfinished}
        <NoFiles canUpload={canUpload} />
      </>
    );
  }
  const search = q.toLowerCase();
  const shown = all.filter(({ filename, id }) => filename.toLowerCase().includes(search) || id === q);
  return (
    <>
      {unfinished}
      <div class="files-search row">
        <TextField
          label="Search by name"
          hideLabel
          type="search"
          placeholder="Search by name"
          {...field('q')}
        />
        <span class="soft small" role="status">
          {count(shown.length)} of {count(all.length)}
          {files.hasNextPage && ' loaded'}
        </span>
      </div>
      <Table
        label="Files"
        rows={shown}
        rowKey={({ id }) => id}
        minWidth="60rem"
        columns={[
          { head: 'Name', cell: ({ id, filename }) => <Cut text={filename} href={`/files/${id}`} /> },
          { head: 'Format', cell: ({ format }) => format ?? '–', width: '9rem' },
          { head: 'Examples', cell: ({ examples }) => count(examples), end: true, width: '7rem' },
          { head: 'Size', cell: (file) => bytes(file.bytes), end: true, width: '7rem' },
          { head: 'Uploaded', cell: ({ created_at }) => <Time at={created_at} />, width: '8rem' },
          { width: '15.5rem', actions: (file) => <Actions file={file} canUpload={canUpload} /> },
        ]}
      />
      {files.hasNextPage && <ShowMore query={files} />}
    </>
  );
}

function Actions({ file, canUpload }: { file: FileObject; canUpload: boolean }) {
  const { id, filename } = file;
  const canTrain = usePermission('jobs:write');
  return (
    <>
      {canTrain && (
        <LinkButton small kind="quiet" href={`/jobs/new?file=${id}`}>
          Train <span class="visually-hidden">on {filename}</span>
        </LinkButton>
      )}
      <DownloadLink small kind="quiet" href={`/v1/files/${id}/content`} name={filename}>
        Download <span class="visually-hidden">{filename}</span>
      </DownloadLink>
      {canUpload && (
        <DeleteFile file={file} small kind="quiet">
          Delete <span class="visually-hidden">{filename}</span>
        </DeleteFile>
      )}
    </>
  );
}

const NoFiles = ({ canUpload }: { canUpload: boolean }) => (
  <Empty title="No training data yet">
    <p>
      {canUpload
        ? 'Upload a JSONL file. Each line is one example in one of these formats:'
        : 'Your team has no files, and you have read-only access.'}
    </p>
    {canUpload && <Formats />}
  </Empty>
);

function Formats() {
  const { data } = useJobOptions();
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

/** Uploads shown at first. */
const maxShown = 3;

const usePendingUploads = (enabled = true) =>
  useQuery({
    enabled,
    queryKey: ['uploads', 'pending'],
    queryFn: () => graft.uploads.list({ status: 'pending', limit: 100 }).toArray(100),
  });

/** Interrupted uploads. Selecting the same file again resumes them. */
function Unfinished() {
  const activeUploads = useUploads();
  const pending = usePendingUploads();
  const isListed = (name: string) =>
    activeUploads.some((each) => each.name === name && each.state !== 'done' && each.state !== 'refused');
  const unfinished = (pending.data ?? []).filter(({ filename }) => !isListed(filename));
  if (unfinished.length === 0) return null;
  return (
    <section class="files-unfinished tight" aria-label="Unfinished uploads">
      <h2>Unfinished uploads</h2>
      <p class="soft small">Select the same file again to resume the upload.</p>
      <Uploads uploads={unfinished.slice(0, maxShown)} />
      {unfinished.length > maxShown && (
        <Disclosure summary={`${count(unfinished.length - maxShown)} more`}>
          <Uploads uploads={unfinished.slice(maxShown)} />
        </Disclosure>
      )}
    </section>
  );
}

function Uploads({ uploads }: { uploads: readonly UploadObject[] }) {
  const discard = useAction({ run: (id: string) => graft.uploads.cancel(id), invalidates: [['uploads']] });
  return (
    <ul class="files-uploads">
      {uploads.map(({ id, filename, received_bytes, bytes: total, expires_at }) => (
        <li key={id}>
          <strong class="cut" title={filename}>
            {filename}
          </strong>
          <span class="small soft">
            {percent(received_bytes / total)} of {bytes(total)} · expires <Time at={expires_at} />
          </span>
          <Button small kind="quiet" busy={discard.isPending} onClick={() => discard.mutate(id)}>
            Discard <span class="visually-hidden">{filename}</span>
          </Button>
        </li>
      ))}
    </ul>
  );
}
