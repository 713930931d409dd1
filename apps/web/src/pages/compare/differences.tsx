import { Cut } from '../../components/cut.tsx';
import { Table } from '../../components/lists/table.tsx';
import { valueText } from '../../text/numbers.ts';
import { type Compared, uniqueNames } from './compared-lines.ts';

interface Row {
  option: string;
  values: string[];
}

/** The options that differ between the jobs, including data and seed. */
export function Differences({ compared }: { compared: readonly Compared[] }) {
  const names = uniqueNames(compared);
  const rows = findDifferences(compared);
  return (
    <section class="panel">
      <h2>Differences</h2>
      {rows.length === 0 ? (
        <p class="soft">None: the jobs have the same configuration, data and seed.</p>
      ) : (
        <Table
          label="Differences"
          minWidth={`${14 + 10 * compared.length}rem`}
          rows={rows}
          rowKey={({ option }) => option}
          columns={[
            { head: 'Option', width: '14rem', cell: ({ option }) => <code>{option}</code> },
            ...compared.map((_, i) => ({
              head: <Cut text={names[i]} />,
              cell: ({ values }: Row) => values[i],
            })),
          ]}
        />
      )}
    </section>
  );
}

function findDifferences(compared: readonly Compared[]): Row[] {
  const options = compared.map(({ job }): Record<string, unknown> => {
    const { model, start_from, training_file, validation_file, training_files, validation_files } = job;
    const files = { training_file, validation_file, training_files, validation_files };
    const { preference, ...training } = job.training;
    return { model, start_from, ...files, method: job.method.type, ...preference, ...training, ...job.peft };
  });
  const names = [...new Set(options.flatMap((each) => Object.keys(each)))];
  return names
    .map((option) => ({ option, values: options.map((each) => valueText(each[option])) }))
    .filter(({ values }) => new Set(values).size > 1);
}
