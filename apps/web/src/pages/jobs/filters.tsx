import '../../styles/pages/jobs.css';
import { Select } from '../../components/forms/field.tsx';
import { SearchField } from '../../components/forms/search-field.tsx';
import { statuses, statusLabel } from '../../components/status.tsx';
import type { JobFilters } from '../../data/jobs.ts';
import { useMemberNames } from '../../data/member-names.ts';
import { useModels } from '../../data/models.ts';

interface FiltersProps {
  filters: JobFilters;
  onFilters: (changes: Partial<JobFilters>) => void;
}

export function Filters({ filters, onFilters }: FiltersProps) {
  const { members } = useMemberNames();
  const { data: models = [] } = useModels();
  const bases = models.filter(({ base_model }) => base_model === null).map(({ id }) => id);
  const options = filters.model && !bases.includes(filters.model) ? [...bases, filters.model] : bases;
  const option = (id: string) => [id, id] as const;
  return (
    <search class="jobs-filters">
      <SearchField
        label="Search"
        placeholder="Name, model or ID"
        maxLength={128}
        value={filters.search}
        onValue={(search) => onFilters({ search })}
      />
      <Select
        label="Status"
        hideLabel
        value={filters.status}
        onValue={(status) => onFilters({ status })}
        options={[['', 'All statuses'], ...statuses.map((status) => [status, statusLabel(status)] as const)]}
      />
      <Select
        label="Base model"
        hideLabel
        value={filters.model}
        onValue={(model) => onFilters({ model })}
        options={[['', 'All base models'], ...options.map(option)]}
      />
      {(members.length > 1 || filters.owner) && (
        <Select
          label="Owner"
          hideLabel
          value={filters.owner}
          onValue={(owner) => onFilters({ owner })}
          options={[
            ['', 'All owners'],
            ...members.map(({ id, name }) => [id, name] as const),
            ...(filters.owner && !members.some(({ id }) => id === filters.owner)
              ? [option(filters.owner)]
              : []),
          ]}
        />
      )}
    </search>
  );
}
