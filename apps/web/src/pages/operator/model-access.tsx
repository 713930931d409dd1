import type { BaseModelObject } from '@graft/client';
import { useState } from 'preact/hooks';
import { Choice, TextArea } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';

type Rule = 'everyone' | 'allow' | 'deny';

/** Which teams can see a base model. For other teams it does not exist. */
export function ModelAccess({ model, onClose }: { model: BaseModelObject; onClose: () => void }) {
  const [rule, setRule] = useState<Rule>('everyone');
  const [text, setText] = useState('');
  const [isMissing, setIsMissing] = useState(false);
  const change = useAction({
    run: ({ rule, teams }: { rule: Rule; teams: string[] }) =>
      rule === 'deny'
        ? graft.admin.baseModels.deny(model.id, teams)
        : graft.admin.baseModels.allow(model.id, rule === 'everyone' ? null : teams),
    invalidates: [['base-models']],
    quiet: true,
    successMessage: ({ id }) => `Access to ${id} updated.`,
    onDone: onClose,
  });
  const submit = () => {
    const teams = text.split(/[\s,]+/).filter(Boolean);
    setIsMissing(rule !== 'everyone' && teams.length === 0);
    if (rule === 'everyone' || teams.length > 0) change.mutate({ rule, teams });
  };
  return (
    <FormDialog
      title="Model access"
      action="Save"
      busy={change.isPending}
      error={change.error}
      onSubmit={submit}
      onClose={onClose}
    >
      <p class="wrap-anywhere">
        {model.id} is visible to {model.limited ? model.allowed_teams.join(', ') || 'no team' : 'all teams'}
        {model.denied_teams.length > 0 && ` except ${model.denied_teams.join(', ')}`}.
      </p>
      <Choice
        label="Rule"
        value={rule}
        onValue={setRule}
        options={[
          ['everyone', 'All teams'],
          ['allow', 'Allow some'],
          ['deny', 'Deny some'],
        ]}
      />
      {rule !== 'everyone' && (
        <TextArea
          label="Team IDs"
          value={text}
          onValue={setText}
          error={isMissing ? 'Enter at least one team ID, such as team-….' : null}
          hint={
            rule === 'allow'
              ? 'Team IDs, separated by spaces. Only these teams, and those allowed before, can see the model.'
              : 'Team IDs, separated by spaces. Accepted jobs continue.'
          }
        />
      )}
    </FormDialog>
  );
}
