import type { BaseModelObject } from '@graft/client';
import { useState } from 'preact/hooks';
import { Choice, TextArea } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';

type Rule = 'everyone' | 'allow' | 'deny';

/** Which teams find a base model. For the others it is as one that does not exist. */
export function ModelAccess({ model, onClose }: { model: BaseModelObject; onClose: () => void }) {
  const [rule, setRule] = useState<Rule>('everyone');
  const [text, setText] = useState('');
  const [isNone, setIsNone] = useState(false);
  const change = useAction({
    run: ({ rule, teams }: { rule: Rule; teams: string[] }) =>
      rule === 'deny'
        ? graft.admin.baseModels.deny(model.id, teams)
        : graft.admin.baseModels.allow(model.id, rule === 'everyone' ? null : teams),
    touches: [['base-models']],
    quiet: true,
    said: ({ id }) => `Who finds ${id} is changed.`,
    onDone: onClose,
  });
  const submit = () => {
    const teams = text.split(/[\s,]+/).filter(Boolean);
    setIsNone(rule !== 'everyone' && teams.length === 0);
    if (rule === 'everyone' || teams.length > 0) change.mutate({ rule, teams });
  };
  return (
    <FormDialog
      title="Who finds it?"
      action="Save"
      busy={change.isPending}
      error={change.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <p class="words">
        {model.id}: {model.limited ? `only ${model.allowed_teams.join(', ') || 'no team'}` : 'every team'}
        {model.denied_teams.length > 0 && `, and not ${model.denied_teams.join(', ')}`}.
      </p>
      <Choice
        label="Rule"
        value={rule}
        onValue={setRule}
        options={[
          ['everyone', 'Every team'],
          ['allow', 'Allow some'],
          ['deny', 'Deny some'],
        ]}
      />
      {rule !== 'everyone' && (
        <TextArea
          label="Teams"
          value={text}
          onValue={setText}
          error={isNone ? 'Name at least one team by its id, as team-….' : null}
          hint={
            rule === 'allow'
              ? 'Ids, with spaces between. From then on only these find it, and those allowed before.'
              : 'Ids, with spaces between. Jobs that were accepted go on.'
          }
        />
      )}
    </FormDialog>
  );
}
