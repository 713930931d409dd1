import { useEffect, useRef, useState } from 'preact/hooks';
import { Disclosure } from '../../components/disclosure.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { TextArea } from '../../components/forms/field.tsx';
import { DialogButton } from '../../components/forms/form.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { useModels, useSystemPrompt } from '../../data/models.ts';
import { useMe, usePermission } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { ModelField } from '../adapters/model-field.tsx';
import { type Kind, pastAnswer, previousTurns } from './chat.ts';
import { Composer } from './composer.tsx';
import {
  historyKey,
  newChatId,
  readHistory,
  restoreTurns,
  type StoredChat,
  storeChat,
  turnsToStore,
} from './history.ts';
import { HistoryDialog } from './history-dialog.tsx';
import { parseTools, toolsExample } from './parse-tools.ts';
import { parseSampling, samplingDefaults } from './sampling.ts';
import { Settings } from './settings.tsx';
import { modeOf } from './texts/texts.ts';
import { TextsPanel } from './texts/texts-panel.tsx';
import { Turns } from './turns.tsx';
import { useChat } from './use-chat.ts';

/** Sends one prompt to two models with the same seed. Prompts are stored in the browser, not in the URL. */
export function Playground() {
  return usePermission('completions:write') ? (
    <ChatPage />
  ) : (
    <>
      <PageHead title="Playground" />
      <Empty title="You cannot call models">
        <p>
          This needs the member role, and for keys the scope <code>completions:write</code>. Ask a team admin
          for access.
        </p>
      </Empty>
    </>
  );
}

const defaults = { a: '', b: '', kind: 'chat' as string, probabilities: '', talk: '', ...samplingDefaults };

function ChatPage() {
  const [state, set, field] = useQueryState(defaults);
  const history = historyKey(useMe());
  const { data: models = [] } = useModels();
  /** The system prompt as edited; null: not edited, so the one that the model was trained with is used. */
  const [edited, setEdited] = useState<string | null>(null);
  const [toolsText, setToolsText] = useState('');
  const { tools, fault: toolsFault } = parseTools(toolsText);
  const { sampling, faults } = parseSampling(state);
  const probabilities = state.probabilities !== '';
  const names = [state.a || (models[0]?.id ?? ''), state.b].filter(Boolean);
  const tuned = models.find(({ id, task_type }) => names.includes(id) && task_type !== null);
  const mode = modeOf(state.kind, tuned?.task_type ?? null);
  const kind: Kind = mode === 'text' ? 'text' : 'chat';
  const trained = useSystemPrompt(names);
  const system = edited ?? trained.value ?? '';
  /** Id of the visible chat. A new chat has an id before the URL does. */
  const shown = useRef<string | null>(null);

  const { turns, isGenerating, stop, send, regenerate, sendResults, open } = useChat((turns) => {
    const at = Math.floor(Date.now() / 1000);
    storeChat(history, {
      id: shown.current!,
      at,
      kind,
      system,
      tools: toolsText,
      turns: turnsToStore(turns),
    });
  });

  useEffect(() => {
    if (shown.current === state.talk) return;
    shown.current = state.talk;
    const stored = readHistory(history).find(({ id }) => id === state.talk);
    open(stored ? restoreTurns(stored, { sampling, probabilities }) : []);
    setEdited(stored?.system ?? null);
    if (stored) setToolsText(stored.tools ?? '');
  }, [state.talk]);

  const openStored = ({ id, kind, turns }: StoredChat) => {
    const [a, b] = turns.at(-1)?.answers ?? [];
    set({ talk: id, kind, a: a?.model ?? null, b: b?.model ?? null });
  };
  const submit = async (prompt: string) => {
    const system = (edited ?? (await trained.read()) ?? '').trim();
    shown.current ||= newChatId();
    set({ talk: shown.current });
    const past = turns.map(({ prompt, answers }) => ({ prompt, answers: answers.map(pastAnswer) }));
    send(
      prompt,
      names.map((model, side) => ({
        kind,
        model,
        system,
        prompt,
        sampling,
        probabilities,
        before: kind === 'chat' ? previousTurns(past, side) : [],
        steps: [],
        tools: kind === 'chat' ? tools : [],
      })),
    );
  };
  const fault =
    names.length === 0
      ? 'Choose a model first.'
      : Object.keys(faults).length > 0
        ? 'Fix the sampling options first.'
        : kind === 'chat' && toolsFault
          ? 'Fix the tools first.'
          : null;
  return (
    <>
      <PageHead
        title="Playground"
        actions={
          <>
            <DialogButton dialog={<HistoryDialog storageKey={history} onOpen={openStored} />}>
              History
            </DialogButton>
            <Button icon="add" disabled={turns.length === 0} onClick={() => set({ talk: null })}>
              New chat
            </Button>
          </>
        }
      />
      <div class="playground-models">
        <ModelField label="Model A" {...field('a')} value={names[0] ?? ''} />
        <IconButton
          label="Swap models"
          icon="swap"
          disabled={!state.b}
          onClick={() => set({ a: state.b, b: names[0] ?? '' })}
        />
        <ModelField label="Model B" {...field('b')} />
      </div>
      <Settings text={state} faults={faults} mode={mode} probabilities={probabilities} onChange={set} />
      {mode === 'embeddings' || mode === 'classes' ? (
        <TextsPanel mode={mode} models={names} />
      ) : (
        <>
          {kind === 'chat' && (
            <Disclosure summary="System prompt" needed={system !== ''}>
              <TextArea label="System prompt" hideLabel rows={3} value={system} onValue={setEdited} />
              {trained.value !== null && (
                <p class="small soft row">
                  {system === trained.value ? (
                    `${trained.model} was trained with this system prompt.`
                  ) : (
                    <>
                      {trained.model} was trained with another system prompt.
                      <Button small onClick={() => setEdited(null)}>
                        Use training prompt
                      </Button>
                    </>
                  )}
                </p>
              )}
            </Disclosure>
          )}
          {kind === 'chat' && (
            <Disclosure
              needed={toolsFault !== null}
              summary={
                <>
                  Tools <span class="soft small">{tools.map((tool) => tool.function.name).join(', ')}</span>
                </>
              }
            >
              <TextArea
                label="Tools as JSON"
                hideLabel
                rows={4}
                placeholder={toolsExample}
                value={toolsText}
                error={toolsFault}
                onValue={setToolsText}
              />
            </Disclosure>
          )}
          <Turns turns={turns} onRegenerate={regenerate} onResults={sendResults} />
          <Composer kind={kind} fault={fault} isGenerating={isGenerating} onSend={submit} onStop={stop} />
        </>
      )}
    </>
  );
}
