import { useState } from 'preact/hooks';
import { Disclosure } from '../../components/disclosure.tsx';
import { Select, TextField } from '../../components/forms/field.tsx';
import { toastError } from '../../components/toast.tsx';
import type { UploadOptions } from '../../data/uploads.ts';
import { mappingFault, mappingIn } from '../../text/columns.ts';

interface OptionValues {
  columns: string;
  onBadLines: 'fail' | 'skip';
}

const treatments: Record<OptionValues['onBadLines'], string> = {
  fail: 'Refuse the file',
  skip: 'Accept the file',
};

/** Options of the uploads that are started next. */
export function useUploadOptions() {
  const [values, setValues] = useState<OptionValues>({ columns: '', onBadLines: 'fail' });
  return {
    values,
    setValues,
    /** Null if a field is invalid: a message then says so, and nothing should be uploaded. */
    read(): Pick<UploadOptions, 'columns' | 'onBadLines'> | null {
      const fault = mappingFault(values.columns);
      if (fault === null) {
        return { columns: mappingIn(values.columns) ?? undefined, onBadLines: values.onBadLines };
      }
      toastError(new Error(`Nothing was uploaded. Columns: ${fault}`));
      return null;
    },
  };
}

export function UploadOptionFields({ values, setValues }: ReturnType<typeof useUploadOptions>) {
  const { columns, onBadLines } = values;
  return (
    <Disclosure summary="Options">
      <div class="file-choice">
        <TextField
          label="Columns"
          placeholder="prompt=question, completion=answer"
          hint="Which column each field is in. Empty: as recognised."
          value={columns}
          error={mappingFault(columns)}
          onValue={(text) => setValues({ ...values, columns: text })}
        />
        <Select
          label="Invalid lines"
          hint="Jobs with on_bad_lines set to skip leave out the invalid lines of an accepted file."
          value={onBadLines}
          options={treatments}
          onValue={(treatment) => setValues({ ...values, onBadLines: treatment })}
        />
      </div>
    </Disclosure>
  );
}
