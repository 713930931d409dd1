import type { BaseModelObject } from '@graft/client';
import { Choice, TextArea } from '../../components/forms/field.tsx';
import { FormDialog, useForm } from '../../components/forms/form.tsx';
import { graft } from '../../data/graft.ts';
import { splitWords } from '../../text/words.ts';

type Rule = 'everyone' | 'allow' | 'deny';

/** Which teams can see a base model. For other teams it does not exist. */
export function ModelAccess({ model, onClose }: { model: BaseModelObject; onClose: () => void }) {
  const { field, values, set, ...form } = useForm({
    initial: { rule: 'everyone' as Rule, teams: '' },
    check: ({ rule, teams }) =>
      rule !== 'everyone' && splitWords(teams).length === 0
        ? { teams: 'Enter at least one team ID, such as team-….' }
        : {},
    run: ({ rule, teams }) =>
      rule === 'deny'
        ? graft.admin.baseModels.deny(model.id, splitWords(teams))
        : graft.admin.baseModels.allow(model.id, rule === 'everyone' ? null : splitWords(teams)),
    invalidates: [['base-models']],
    successMessage: ({ id }) => `Access to ${id} updated.`,
    onDone: onClose,
  });
  return (
    <FormDialog title="Model access" action="Save" form={form} onClose={onClose}>
      <p class="wrap-anywhere">
        {model.id} is visible to {model.limited ? model.allowed_teams.join(', ') || 'no team' : 'all teams'}
        {model.denied_teams.length > 0 && ` except ${model.denied_teams.join(', ')}`}.
      </p>
      <Choice
        label="Rule"
        value={values.rule}
        onValue={(rule) => set({ rule })}
        options={{ everyone: 'All teams', allow: 'Allow some', deny: 'Deny some' }}
      />
      {values.rule !== 'everyone' && (
        <TextArea
          label="Team IDs"
          hint={
            values.rule === 'allow'
              ? 'Team IDs, separated by spaces. Only these teams, and those allowed before, can see the model.'
              : 'Team IDs, separated by spaces. Accepted jobs continue.'
          }
          {...field('teams')}
        />
      )}
    </FormDialog>
  );
}
