import { useQuery } from '@tanstack/preact-query';
import { useEffect, useState } from 'preact/hooks';
import '../../styles/pages/jobs.css';
import { Select, TextField } from '../../components/forms/field.tsx';
import { statuses, statusWord } from '../../components/status.tsx';
import { graft } from '../../data/graft.ts';
import type { JobFilters } from '../../data/jobs.ts';
import { useNames } from '../../data/people.ts';
import { useMay } from '../../data/session.ts';

/** Milliseconds after the last key until the server is asked. */
const pauseMs = 250;

interface FiltersProps {
  filters: JobFilters;
  onFilters: (changes: Partial<JobFilters>) => void;
}

export function Filters({ filters, onFilters }: FiltersProps) {
  const { people } = useNames();
  const { data: models = [] } = useQuery({
    queryKey: ['models'],
    queryFn: () => graft.models.list(),
    enabled: useMay('models:read'),
    staleTime: 60_000,
  });
  const bases = models.filter(({ base_model }) => base_model === null).map(({ id }) => id);
  const model = filters.model && !bases.includes(filters.model) ? [...bases, filters.model] : bases;
  const one = (id: string) => [id, id] as const;
  return (
    <search class="jobs-filters">
      <Search value={filters.search} onValue={(search) => onFilters({ search })} />
      <Select
        label="Status"
        bare
        value={filters.status}
        onValue={(status) => onFilters({ status })}
        options={[['', 'Any status'], ...statuses.map((status) => [status, statusWord(status)] as const)]}
      />
      <Select
        label="Base model"
        bare
        value={filters.model}
        onValue={(model) => onFilters({ model })}
        options={[['', 'Any base model'], ...model.map(one)]}
      />
      {(people.length > 1 || filters.owner) && (
        <Select
          label="Owner"
          bare
          value={filters.owner}
          onValue={(owner) => onFilters({ owner })}
          options={[
            ['', 'Anybody’s'],
            ...people.map(({ id, name }) => [id, name] as const),
            ...(filters.owner && !people.some(({ id }) => id === filters.owner) ? [one(filters.owner)] : []),
          ]}
        />
      )}
    </search>
  );
}

/** What is typed is in the address, and asked for, when the typing rests. */
function Search({ value, onValue }: { value: string; onValue: (value: string) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(onValue, pauseMs, text);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <TextField
      label="Search"
      bare
      type="search"
      placeholder="Name, model or id"
      maxLength={128}
      value={text}
      onValue={setText}
    />
  );
}
