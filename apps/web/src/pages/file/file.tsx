import { useQuery } from '@tanstack/preact-query';
import { useLocation, useParams } from 'wouter-preact';
import { DownloadLink, LinkButton } from '../../components/forms/button.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { PageHead, PendingPage } from '../../components/page-head.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';
import { bytes, count, none } from '../../text/numbers.ts';
import { DeleteFile } from '../files/delete-file.tsx';
import { Report } from './report.tsx';

const up = { href: '/files', text: 'Files' };

export function File() {
  const { id } = useParams<{ id: string }>();
  const [, go] = useLocation();
  const [canWrite, canTrain] = [usePermission('files:write'), usePermission('jobs:write')];
  const query = useQuery({ queryKey: ['file', id], queryFn: () => graft.files.retrieve(id) });
  const file = query.data;
  if (!file) return <PendingPage title="File" up={up} query={query} />;
  const isData = file.purpose === 'fine-tune';
  return (
    <>
      <PageHead
        title={file.filename}
        up={up}
        actions={
          <>
            {canWrite && (
              <DeleteFile file={file} onDone={() => go('/files')}>
                Delete
              </DeleteFile>
            )}
            <DownloadLink href={`/v1/files/${id}/content`} name={file.filename}>
              Download
            </DownloadLink>
            {canTrain && isData && (
              <LinkButton kind="main" href={`/jobs/new?file=${id}`}>
                Train a model
              </LinkButton>
            )}
          </>
        }
      >
        <code class="small soft">{file.id}</code>
      </PageHead>
      <Facts
        facts={[
          { name: 'Format', value: file.format ?? none },
          { name: 'Examples', value: count(file.examples) },
          { name: 'Size', value: bytes(file.bytes) },
          { name: 'Uploaded', value: <Time at={file.created_at} /> },
        ]}
      />
      {isData && <Report file={file} />}
    </>
  );
}
