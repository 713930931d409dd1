import { Select } from '../../components/forms/field.tsx';
import { SearchField } from '../../components/forms/search-field.tsx';
import { statuses, statusLabel } from '../../components/status.tsx';
import type { JobFilters } from '../../data/jobs.ts';
import { useMemberNames } from '../../data/member-names.ts';
import { useBaseModels } from '../../data/models.ts';

/** `field` returns the properties of a filter's field. */
export function Filters({
  field,
}: {
  field: (name: keyof JobFilters) => { value: string; onValue: (value: string) => void };
}) {
  const { members } = useMemberNames();
  const bases = useBaseModels();
  return (
    <search class="jobs-filters">
      <SearchField label="Search" placeholder="Name, model or ID" maxLength={128} {...field('search')} />
      <Select
        label="Status"
        hideLabel
        options={[['', 'All statuses'], ...statuses.map((status) => [status, statusLabel(status)] as const)]}
        {...field('status')}
      />
      <Select
        label="Base model"
        hideLabel
        options={[['', 'All base models'], ...bases]}
        {...field('model')}
      />
      {(members.length > 1 || field('owner').value) && (
        <Select
          label="Owner"
          hideLabel
          options={[['', 'All owners'], ...members.map(({ id, name }) => [id, name] as const)]}
          {...field('owner')}
        />
      )}
    </search>
  );
}
