import { useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { TextArea } from '../../components/forms/field.tsx';
import { Problem } from '../../components/problem.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { type Draft, isRecord } from './draft.ts';

export type Language = 'json' | 'yaml';

interface Format {
  stringify: (draft: Draft) => string;
  parse: (text: string) => unknown;
}

const json: Format = { stringify: (draft) => JSON.stringify(draft, null, 2), parse: JSON.parse };

/** Editor for the request as text. It edits the same draft as the form. */
export function TextView({
  language,
  draft,
  setDraft,
}: {
  language: Language;
  draft: Draft;
  setDraft: (draft: Draft) => void;
}) {
  const format = useQuery({
    queryKey: ['format', language],
    queryFn: async (): Promise<Format> => {
      if (language === 'json') return json;
      // Loaded on demand. Aliases are not allowed, because a few lines of them can expand without limit.
      const { parse, stringify } = await import('yaml');
      return { stringify, parse: (text) => parse(text, { maxAliasCount: 0 }) ?? {} };
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (format.error) return <Problem error={format.error} onRetry={format.refetch} />;
  if (!format.data) return <Waiting height="60rem" />;
  return <Editor key={language} language={language} format={format.data} draft={draft} setDraft={setDraft} />;
}

function Editor({
  language,
  format,
  draft,
  setDraft,
}: {
  language: Language;
  format: Format;
  draft: Draft;
  setDraft: (draft: Draft) => void;
}) {
  const [text, setText] = useState(() => format.stringify(draft));
  const [error, setError] = useState<string | null>(null);
  const onValue = (next: string) => {
    setText(next);
    try {
      const value = format.parse(next);
      if (!isRecord(value)) throw new Error('Must be an object with the fields of a request.');
      setError(null);
      setDraft(value);
    } catch (thrown) {
      setError((thrown as Error).message);
    }
  };
  return (
    <div class="new-job-text">
      <TextArea
        label={`Request (${language.toUpperCase()})`}
        hint="Body of POST /v1/fine_tuning/jobs, in sync with the form."
        error={error}
        rows={24}
        value={text}
        onValue={onValue}
      />
    </div>
  );
}
