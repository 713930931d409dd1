import { useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { TextArea } from '../../components/forms/field.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { type Draft, isRecord } from './draft.ts';

interface Format {
  stringify: (draft: Draft) => string;
  parse: (text: string) => unknown;
}

const json: Format = { stringify: (draft) => JSON.stringify(draft, null, 2), parse: JSON.parse };

interface TextViewProps {
  language: 'json' | 'yaml';
  draft: Draft;
  setDraft: (draft: Draft) => void;
}

/** Editor for the request as text. It edits the same draft as the form. */
export function TextView(props: TextViewProps) {
  const { language } = props;
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
  return (
    <Loaded query={format} height="60rem">
      {(data) => <Editor key={language} {...props} format={data} />}
    </Loaded>
  );
}

function Editor({ language, format, draft, setDraft }: TextViewProps & { format: Format }) {
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
