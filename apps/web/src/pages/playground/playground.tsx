import { useEffect, useRef, useState } from 'preact/hooks';
import '../../styles/pages/playground.css';
import { Disclosure } from '../../components/disclosure.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { TextArea } from '../../components/forms/field.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { useModels, useSystemPrompt } from '../../data/models.ts';
import { useMay, useMe } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { ModelField } from '../adapters/model-field.tsx';
import { Composer } from './composer.tsx';
import { historyKey, keepTalk, keptTurns, newTalkId, readHistory, turnsOf } from './history.ts';
import { HistoryDialog } from './history-dialog.tsx';
import { parseSampling, samplingDefaults } from './sampling.ts';
import { Settings } from './settings.tsx';
import { type Asked, type Kind, type Turn, textOf } from './talk.ts';
import { Turns } from './turns.tsx';
import { useTalk } from './use-talk.ts';

/** One prompt to two models side by side, with the same seed. What is asked is kept in the browser, and not in the address. */
export function Playground() {
  return useMay('completions:write') ? (
    <Talking />
  ) : (
    <>
      <PageHead title="Playground" />
      <Empty title="You may not call models">
        <p>
          It takes the role member, and with a key the scope <code>completions:write</code>. An admin of the
          team gives them.
        </p>
      </Empty>
    </>
  );
}

const defaults = { a: '', b: '', kind: 'chat' as string, probabilities: '', talk: '', ...samplingDefaults };

function Talking() {
  const [state, set] = useQueryState(defaults);
  const history = historyKey(useMe());
  const { data: models = [] } = useModels();
  /** As the person wrote it; null: they have not, and it is the one that the model was trained with. */
  const [written, setWritten] = useState<string | null>(null);
  const [isHistory, setHistory] = useState(false);
  const { sampling, faults } = parseSampling(state);
  const kind: Kind = state.kind === 'text' ? 'text' : 'chat';
  const probabilities = state.probabilities !== '';
  const names = [state.a || (models[0]?.id ?? ''), state.b].filter(Boolean);
  const trained = useSystemPrompt(names);
  const system = written ?? trained.value ?? '';
  /** The talk in sight; the address is behind it when it has just begun. */
  const shown = useRef<string | null>(null);

  const { turns, isWriting, stop, send, again, open } = useTalk((turns) => {
    const at = Math.floor(Date.now() / 1000);
    keepTalk(history, { id: shown.current!, at, kind, system, turns: keptTurns(turns) });
  });

  useEffect(() => {
    if (shown.current === state.talk) return;
    shown.current = state.talk;
    const kept = readHistory(history).find(({ id }) => id === state.talk);
    open(kept ? turnsOf(kept, { sampling, probabilities }) : []);
    setWritten(kept?.system ?? null);
  }, [state.talk]);

  const ask = async (prompt: string) => {
    const system = (written ?? (await trained.read()) ?? '').trim();
    shown.current ||= newTalkId();
    set({ talk: shown.current });
    send(
      prompt,
      names.map((model, side) => ({
        ...{ kind, model, system, prompt, sampling, probabilities },
        before: kind === 'chat' ? saidBefore(turns, side) : [],
      })),
    );
  };
  const fault =
    names.length === 0
      ? 'Choose a model first.'
      : Object.keys(faults).length > 0
        ? 'Mend the options of sampling first.'
        : null;
  return (
    <>
      <PageHead
        title="Playground"
        actions={
          <>
            <Button onClick={() => setHistory(true)}>History</Button>
            <Button icon="add" disabled={turns.length === 0} onClick={() => set({ talk: null })}>
              New talk
            </Button>
          </>
        }
      />
      <div class="playground-models">
        <ModelField label="A" value={names[0] ?? ''} onValue={(a) => set({ a })} />
        <IconButton
          label="Change sides"
          icon="swap"
          disabled={!state.b}
          onClick={() => set({ a: state.b, b: names[0] ?? '' })}
        />
        <ModelField label="B" value={state.b} onValue={(b) => set({ b })} />
      </div>
      <Settings text={state} faults={faults} kind={kind} probabilities={probabilities} onChange={set} />
      {kind === 'chat' && (
        <Disclosure summary="System prompt" needed={system !== ''}>
          <TextArea label="System prompt" bare rows={3} value={system} onValue={setWritten} />
          {trained.value !== null && (
            <p class="small soft row">
              {system === trained.value ? (
                `Every training example of ${trained.model} begins with it.`
              ) : (
                <>
                  Every training example of {trained.model} begins with another one.
                  <Button small onClick={() => setWritten(null)}>
                    Use that
                  </Button>
                </>
              )}
            </p>
          )}
        </Disclosure>
      )}
      <Turns turns={turns} onAgain={again} />
      <Composer kind={kind} fault={fault} isWriting={isWriting} onSend={ask} onStop={stop} />
      {isHistory && (
        <HistoryDialog
          of={history}
          onOpen={({ id, kind, turns }) => {
            const [a, b] = turns.at(-1)?.answers ?? [];
            set({ talk: id, kind, a: a?.model ?? null, b: b?.model ?? null });
            setHistory(false);
          }}
          onClose={() => setHistory(false)}
        />
      )}
    </>
  );
}

/** Of a side that came later, what the first one said; what got no answer is left out. */
function saidBefore(turns: readonly Turn[], side: number): Asked['before'] {
  return turns.flatMap(({ prompt, answers }) => {
    const answer = answers[side] ?? answers[0];
    const text = answer ? textOf(answer) : '';
    return text === '' ? [] : { prompt, answer: text };
  });
}
