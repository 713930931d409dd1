import { GraftApiError } from '@graft/client';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Badge } from '../../components/badge.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { Cut, NameAndId } from '../../components/cut.tsx';
import { Disclosure } from '../../components/disclosure.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button, DownloadLink, IconButton, LinkButton } from '../../components/forms/button.tsx';
import { DropZone } from '../../components/forms/drop-zone.tsx';
import { Checkbox, Choice, Select, TextArea, TextField } from '../../components/forms/field.tsx';
import { Confirm, DialogButton, FormDialog, useForm } from '../../components/forms/form.tsx';
import { SearchField } from '../../components/forms/search-field.tsx';
import { Secret } from '../../components/forms/secret.tsx';
import { InvalidLines } from '../../components/invalid-lines.tsx';
import { Bars } from '../../components/lists/bars.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { More } from '../../components/lists/more.tsx';
import { Table } from '../../components/lists/table.tsx';
import { LongText } from '../../components/long-text.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { Status, statuses } from '../../components/status.tsx';
import { Sections } from '../../components/tabs.tsx';
import { Tag } from '../../components/tag.tsx';
import { Time } from '../../components/time.tsx';
import { toast, toastError } from '../../components/toast.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { compact, count } from '../../text/numbers.ts';
import { dayOf } from '../../text/times.ts';
import { ModelField } from '../adapters/model-field.tsx';

const fault = new GraftApiError({
  status: 400,
  message: "Invalid 'training.learning_rate': must be > 0. Omit it to let Graft choose one.",
  requestId: 'req_4c1f0a9be27d4e354c1f0a9b',
});
const bars = Array.from({ length: 30 }, (_, day) => ({
  at: 1_790_000_000 + day * 86_400,
  parts: [1e6 * (1 + Math.sin(day / 4)), 4e5],
}));
const long = 'a-name-without-an-end-'.repeat(12);
const nothing = () => {};

/** A list with the given ids; undefined: not loaded. */
const ExampleList = ({ ids, error }: { ids?: string[]; error?: unknown }) => (
  <Listing
    label="A list"
    minWidth="20rem"
    emptyTitle="No items"
    emptyText="What would be here."
    columns={[{ head: 'ID', cell: ({ id }) => <Cut text={id} /> }]}
    pages={{
      data: ids && { pages: [{ object: 'list', data: ids.map((id) => ({ id })), has_more: false }] },
      error,
      hasNextPage: ids?.length === 1,
      isFetchingNextPage: false,
      fetchNextPage: nothing,
      refetch: nothing,
    }}
  />
);

function ExampleForm() {
  const form = useForm({ initial: { name: '' }, run: () => Promise.reject(fault) });
  return (
    <FormDialog title="Create item" action="Create" form={form}>
      <TextField label="Item name" {...form.field('name')} />
    </FormDialog>
  );
}

/** Gallery of every component in its states, for development and for screenshots in tests. */
export function Components() {
  const [text, setText] = useState('');
  const [choice, setChoice] = useState<'step' | 'time'>('step');
  const [checked, setChecked] = useState(true);
  const field = { value: text, onValue: setText };
  return (
    <>
      <PageHead
        title="Components"
        up={{ href: '/', text: 'Graft' }}
        actions={<Button icon="add">Action</Button>}
      >
        <p class="soft">Each component in its states.</p>
      </PageHead>
      <Group title="Buttons">
        <Button kind="main">Main</Button>
        <Button>Plain</Button>
        <Button kind="quiet">Quiet</Button>
        <Button kind="danger">Danger</Button>
        <Button busy>Busy</Button>
        <Button disabled>Disabled</Button>
        <Button small icon="pause">
          Small
        </Button>
        <IconButton label="Refresh" icon="refresh" />
        <LinkButton href="/_components" icon="next">
          Link
        </LinkButton>
        <DownloadLink href="/_components" icon="download">
          Download
        </DownloadLink>
      </Group>
      <Group title="Fields">
        <TextField label="With a hint" hint="A hint." {...field} />
        <TextField label="With an error" error="Too short: use at least 8 characters." {...field} />
        <Select
          label="One of several"
          value="a"
          onValue={nothing}
          options={[
            ['a', 'The first'],
            ['b', long],
          ]}
        />
        <TextArea label="Many lines" value={long} onValue={nothing} rows={2} />
        <Checkbox label="Yes or no" checked={checked} onChecked={setChecked} />
        <Choice label="X axis" value={choice} onValue={setChoice} options={{ step: 'Steps', time: 'Time' }} />
        <SearchField label="Search" placeholder="Name" {...field} />
        <ModelField label="Model" {...field} />
      </Group>
      <Group title="Status">
        {statuses.map((status) => (
          <Status key={status} status={status} done={0.4} />
        ))}
        <span class="components-meter">
          <Meter value={0.4} label="Progress" />
        </span>
      </Group>
      <Group title="Times">
        <Time at={Date.now() / 1000 - 200} />
        <Time at={Date.now() / 1000 + 7_200} form="clock" />
      </Group>
      <Group title="Badges">
        {(['quiet', 'good', 'wait', 'bad'] as const).map((tone) => (
          <Badge key={tone} tone={tone}>
            {tone}
          </Badge>
        ))}
        <Badge title={long}>{long}</Badge>
      </Group>
      <Group title="Sections">
        <Sections
          label="Example sections"
          path="/_components"
          sections={[
            { name: '', text: 'Current', Content: () => <p>The section’s content.</p> },
            { name: 'other', text: 'Other', Content: () => null },
          ]}
        />
      </Group>
      <Group title="Facts">
        <Facts
          facts={[
            { name: 'Name', value: 'Value' },
            { name: 'With a note', value: count(12), note: 'of 40' },
            { name: 'Unknown', value: count(null) },
            { name: long, value: long },
          ]}
        />
      </Group>
      <Group title="Bars">
        <Bars label="Tokens" bars={bars} series={['this', long]} format={compact} day={dayOf} />
        <Bars
          label="No values"
          bars={[{ at: 0, parts: [0] }]}
          series={['this']}
          format={compact}
          day={dayOf}
        />
      </Group>
      <Group title="Table">
        <Table
          label="Examples"
          rows={['short', long]}
          rowKey={(row) => row}
          columns={[
            { head: 'Name', cell: (row) => <NameAndId name={row} id={row} /> },
            { head: 'Size', cell: (row) => count(row.length), end: true, width: '8rem' },
            { width: '6rem', actions: () => [{ text: 'Action' }] },
          ]}
        />
      </Group>
      <Group title="Files">
        <DropZone label="Upload files" onFiles={nothing}>
          <p>…or drop them here.</p>
        </DropZone>
        <InvalidLines label="Invalid lines" lines={[{ line: 3, message: `is ${long}` }]} total={2} />
      </Group>
      <Group title="Properties, tags, end of a long list">
        <Facts
          inRows
          facts={[
            { name: 'Short', value: 'A value' },
            { name: 'Long', value: long },
          ]}
        />
        <Tag name="production" version={3} />
        <Tag name={long} version={12} href="/_components" />
        <Disclosure summary="Details" needed>
          <p>Hidden content.</p>
        </Disclosure>
        <More query={{ hasNextPage: true, isFetchingNextPage: true, fetchNextPage: nothing }} />
      </Group>
      <Group title="Loading, empty and error states">
        <ExampleList />
        <ExampleList error={fault} />
        <ExampleList ids={[]} />
        <ExampleList ids={[long]} />
        <Waiting height="6rem" />
        <Empty title="No items yet">
          <p>What would be here, and the next step.</p>
          <LinkButton href="/_components">Next step</LinkButton>
        </Empty>
        <Problem error={fault} onRetry={nothing} />
      </Group>
      <Group title="Toasts and dialogs">
        <Button onClick={() => toast('Job paused.', { label: 'Undo', run: nothing })}>Success toast</Button>
        <Button onClick={() => toastError(fault)}>Error toast</Button>
        <DialogButton
          dialog={
            <Confirm title="Cancel job?" action="Cancel job" run={() => Promise.resolve()}>
              <p>The job stops immediately. Progress since its last checkpoint is lost.</p>
            </Confirm>
          }
        >
          Confirmation
        </DialogButton>
        <DialogButton dialog={<ExampleForm />}>Form</DialogButton>
        <DialogButton
          dialog={
            <Secret title="API key" name="API key" text={long}>
              <p>How to use it.</p>
            </Secret>
          }
        >
          Secret
        </DialogButton>
      </Group>
      <Group title="Long text and code">
        <LongText text="Short." />
        <LongText text={long.repeat(4)} />
        <CodeBlock label="Example" text={`curl ${long}\n  -H 'content-type: application/json'`} />
      </Group>
    </>
  );
}

const Group = ({ title, children }: { title: string; children: ComponentChildren }) => (
  <section class="panel">
    <h2>{title}</h2>
    <div class="components-states">{children}</div>
  </section>
);
