import { GraftApiError } from '@graft/client';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

import '../../styles/pages/components.css';
import { BadLines } from '../../components/bad-lines.tsx';
import { Badge } from '../../components/badge.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { Confirm } from '../../components/dialog.tsx';
import { Disclosure } from '../../components/disclosure.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button, IconButton, LinkButton } from '../../components/forms/button.tsx';
import { DropZone } from '../../components/forms/drop-zone.tsx';
import { Checkbox, Choice, Select, TextArea, TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { SearchField } from '../../components/forms/search-field.tsx';
import { Secret } from '../../components/forms/secret.tsx';
import { Bars } from '../../components/lists/bars.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { More } from '../../components/lists/more.tsx';
import { Properties } from '../../components/lists/properties.tsx';
import { Table } from '../../components/lists/table.tsx';
import { LongText } from '../../components/long-text.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { Sections } from '../../components/sections.tsx';
import { Status, statuses } from '../../components/status.tsx';
import { Tag } from '../../components/tag.tsx';
import { Time } from '../../components/time.tsx';
import { toast, toastError } from '../../components/toast.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { bytes, count, measure, percent, rough } from '../../text/numbers.ts';
import { dayOf, span } from '../../text/times.ts';
import { ModelField } from '../adapters/model-field.tsx';

const fault = new GraftApiError({
  status: 400,
  message: "Invalid 'training.learning_rate': must be > 0. Leave it out, and Graft chooses one.",
  requestId: 'req_4c1f0a9be27d4e354c1f0a9b',
});
const bars = Array.from({ length: 30 }, (_, day) => ({
  at: 1_790_000_000 + day * 86_400,
  parts: [1e6 * (1 + Math.sin(day / 4)), 4e5],
}));
const pageOf = (data: { id: string }[]) => ({ pages: [{ object: 'list' as const, data, has_more: false }] });
const paged = {
  error: null,
  hasNextPage: false,
  isFetchingNextPage: false,
  fetchNextPage() {},
  refetch() {},
};
const listing = {
  label: 'A list',
  minWidth: '20rem',
  empty: <Empty title="None yet">What would be here.</Empty>,
  columns: [
    {
      head: 'Id',
      names: true,
      cell: ({ id }: { id: string }) => (
        <span class="cut" title={id}>
          {id}
        </span>
      ),
    },
  ],
};
const long = 'a-name-without-an-end-'.repeat(12);

/** Every component in each of its states: to look at while one is changed, and for the tests to take a picture of. */
export function Components() {
  const [text, setText] = useState('');
  const [choice, setChoice] = useState<'step' | 'time'>('step');
  const [checked, setChecked] = useState(true);
  const [asks, setAsks] = useState(false);
  const [shows, setShows] = useState<'form' | 'secret' | null>(null);
  return (
    <>
      <PageHead
        title="Components"
        up={{ href: '/', text: 'Graft' }}
        actions={<Button icon="add">An action</Button>}
      >
        <p class="soft">Each in its states.</p>
      </PageHead>
      <Group title="Buttons">
        <Button kind="main">Main</Button>
        <Button>Plain</Button>
        <Button kind="quiet">Quiet</Button>
        <Button kind="danger">Danger</Button>
        <Button busy>Busy</Button>
        <Button disabled>Off</Button>
        <Button small icon="pause">
          Small
        </Button>
        <IconButton label="Refresh" icon="refresh" />
        <LinkButton href="/_components" icon="next">
          Leads on
        </LinkButton>
      </Group>
      <Group title="Fields">
        <TextField label="With a hint" hint="What it takes." value={text} onValue={setText} />
        <TextField
          label="With an error"
          error="It is too short: 8 characters at least."
          value={text}
          onValue={setText}
        />
        <Select
          label="One of several"
          value="a"
          onValue={() => {}}
          options={[
            ['a', 'The first'],
            ['b', long],
          ]}
        />
        <TextArea label="Many lines" value={long} onValue={() => {}} rows={2} />
        <Checkbox label="Yes or no" checked={checked} onChecked={setChecked} />
        <Choice
          label="Along"
          value={choice}
          onValue={setChoice}
          options={[
            ['step', 'Steps'],
            ['time', 'Time'],
          ]}
        />
      </Group>
      <Group title="Status">
        {statuses.map((status) => (
          <Status key={status} status={status} done={0.4} />
        ))}
        <span class="components-meter">
          <Meter value={0.4} label="Progress" />
        </span>
      </Group>
      <Group title="Numbers and times">
        <span>
          {[count(1_234_567), rough(1_234_567), percent(0.4213), measure(0.000_012_3), measure(Math.E)].join(
            ' · ',
          )}
        </span>
        <span>{[bytes(0), bytes(999), bytes(48_211), bytes(7.3e9)].join(' · ')}</span>
        <span>{[span(0.4), span(62), span(3_599), span(4_380), span(200_000)].join(' · ')}</span>
        <Time at={Date.now() / 1000 - 200} />
        <Time at={Date.now() / 1000 + 7_200} form="clock" />
      </Group>
      <Group title="Badges">
        <Badge>quiet</Badge>
        <Badge tone="good">good</Badge>
        <Badge tone="wait">waits</Badge>
        <Badge tone="bad">bad</Badge>
        <Badge title={long}>{long}</Badge>
      </Group>
      <Group title="Parts of a page">
        <Sections
          label="Examples of parts"
          items={[
            ['/_components', 'Here'],
            ['/jobs', 'Elsewhere'],
          ]}
        />
      </Group>
      <Group title="Facts">
        <Facts
          facts={[
            { name: 'Name', value: 'Value' },
            { name: 'With a note', value: count(12), note: 'of 40' },
            { name: long, value: long },
          ]}
        />
      </Group>
      <Group title="Bars">
        <Bars label="Tokens" bars={bars} series={['this', long]} format={rough} day={dayOf} />
        <Bars label="Nothing" bars={[{ at: 0, parts: [0] }]} series={['this']} format={rough} day={dayOf} />
      </Group>
      <Group title="Table">
        <Table
          label="Examples"
          rows={['short', long]}
          rowKey={(row) => row}
          columns={[
            {
              head: 'Name',
              cell: (row) => (
                <span class="cut" title={row}>
                  {row}
                </span>
              ),
              names: true,
            },
            { head: 'Size', cell: (row) => count(row.length), end: true, width: '8rem' },
          ]}
        />
      </Group>
      <Group title="Figures">
        <Facts
          facts={[
            { name: 'Examples', value: count(12_400) },
            { name: 'Name', value: long, note: 'as it was given' },
            { name: 'Not known', value: count(null) },
          ]}
        />
      </Group>
      <Group title="Files">
        <DropZone label="Upload files" onFiles={() => {}}>
          <p>…or drop them here.</p>
        </DropZone>
        <BadLines label="Bad lines" lines={[{ line: 3, message: `is ${long}` }]} total={2} />
      </Group>
      <Group title="Names and values, tags, the end of a long list">
        <Properties
          of={[
            ['Short', 'A value'],
            ['Long', long],
          ]}
        />
        <Tag name="production" version={3} />
        <Tag name={long} version={12} href="/_components" />
        <Disclosure summary="More of it" needed>
          <p>What is shown when it is wanted.</p>
        </Disclosure>
        <More of={{ hasNextPage: true, isFetchingNextPage: true, fetchNextPage: () => {} }} />
      </Group>
      <Group title="Search, and a model by its name">
        <SearchField label="Search" placeholder="Part of a name" value={text} onValue={setText} />
        <ModelField label="Model" value={text} onValue={setText} />
      </Group>
      <Group title="A list by the page">
        <Listing {...listing} pages={{ ...paged, data: undefined, error: null }} />
        <Listing {...listing} pages={{ ...paged, data: undefined, error: fault }} />
        <Listing {...listing} pages={{ ...paged, data: pageOf([]) }} />
        <Listing {...listing} pages={{ ...paged, data: pageOf([{ id: long }]), hasNextPage: true }} />
      </Group>
      <Group title="Nothing, and what went wrong">
        <Waiting height="6rem" />
        <Empty title="Nothing is here yet">
          <p>What would be here, and what to do next.</p>
          <LinkButton href="/_components">The next step</LinkButton>
        </Empty>
        <Problem error={fault} onRetry={() => {}} />
      </Group>
      <Group title="Over the page">
        <Button onClick={() => toast('The job is paused.', { label: 'Undo', run: () => {} })}>
          Say what was done
        </Button>
        <Button onClick={() => toastError(fault)}>Say what failed</Button>
        <Button onClick={() => setAsks(true)}>Ask</Button>
        <Button onClick={() => setShows('form')}>Fill in</Button>
        <Button onClick={() => setShows('secret')}>Tell once</Button>
        {shows === 'form' && (
          <FormDialog
            title="Make a thing"
            action="Make it"
            busy={false}
            error={fault}
            onSubmit={() => setShows(null)}
            onClose={() => setShows(null)}
          >
            <TextField label="Its name" value={text} onValue={setText} />
          </FormDialog>
        )}
        {shows === 'secret' && (
          <Secret title="The key" name="The key" text={long} onClose={() => setShows(null)}>
            <p>What to do with it.</p>
          </Secret>
        )}
        {asks && (
          <Confirm
            title="Cancel the job?"
            action="Cancel the job"
            onConfirm={() => setAsks(false)}
            onClose={() => setAsks(false)}
          >
            <p>It stops at once, and what it has trained since its last checkpoint is lost.</p>
          </Confirm>
        )}
      </Group>
      <Group title="Text that may be long">
        <LongText text="Short." />
        <LongText text={long.repeat(4)} />
      </Group>
      <Group title="Text to take along">
        <CodeBlock label="An example" text={`curl ${long}\n  -H 'content-type: application/json'`} />
      </Group>
    </>
  );
}

const Group = ({ title, children }: { title: string; children: ComponentChildren }) => (
  <section class="components-group">
    <h2>{title}</h2>
    <div class="components-states">{children}</div>
  </section>
);
