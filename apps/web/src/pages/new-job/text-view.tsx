import { useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { TextArea } from '../../components/forms/field.tsx';
import { Problem } from '../../components/problem.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { type Draft, isRecord } from './draft.ts';

export type Language = 'json' | 'yaml';

interface Writing {
  write: (draft: Draft) => string;
  read: (text: string) => unknown;
}

const json: Writing = { write: (draft) => JSON.stringify(draft, null, 2), read: JSON.parse };

/** The request as text, the same as the form: what is changed here is changed there. */
export function TextView({
  language,
  draft,
  setDraft,
}: {
  language: Language;
  draft: Draft;
  setDraft: (draft: Draft) => void;
}) {
  const writing = useQuery({
    queryKey: ['writing', language],
    queryFn: async (): Promise<Writing> => {
      if (language === 'json') return json;
      // Only whoever wants it fetches it. Aliases make of a few lines as many as one likes.
      const { parse, stringify } = await import('yaml');
      return { write: stringify, read: (text) => parse(text, { maxAliasCount: 0 }) ?? {} };
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (writing.error) return <Problem error={writing.error} onRetry={writing.refetch} />;
  if (!writing.data) return <Waiting height="60rem" />;
  return (
    <Editor key={language} language={language} writing={writing.data} draft={draft} setDraft={setDraft} />
  );
}

function Editor({
  language,
  writing,
  draft,
  setDraft,
}: {
  language: Language;
  writing: Writing;
  draft: Draft;
  setDraft: (draft: Draft) => void;
}) {
  const [text, setText] = useState(() => writing.write(draft));
  const [fault, setFault] = useState<string | null>(null);
  const onValue = (after: string) => {
    setText(after);
    try {
      const value = writing.read(after);
      if (!isRecord(value)) throw new Error('It must be an object with the fields of a request.');
      setFault(null);
      setDraft(value);
    } catch (error) {
      setFault((error as Error).message);
    }
  };
  return (
    <div class="new-job-text">
      <TextArea
        label={`The request as ${language.toUpperCase()}`}
        hint="What POST /v1/fine_tuning/jobs takes. The form shows the same."
        error={fault}
        rows={24}
        value={text}
        onValue={onValue}
      />
    </div>
  );
}
