// Constant responses of testing/wire-server.ts.
import type { Me } from '@graft/client';

export const jobOptions = {
  default_peft: { peft_type: 'LORA', r: 16, lora_alpha: 64, target_modules: 'all-linear' },
  methods: [
    { peft_type: 'LORA', usual: { r: 16 }, options: { properties: { r: {} } } },
    { peft_type: 'IA3', usual: {}, options: { properties: {} } },
  ],
};

export const me: Me = {
  object: 'me',
  kind: 'team',
  team: { id: 'team_1', name: 'team' },
  is_operator: false,
  teams: null,
  session: null,
  role: 'member',
  scopes: null,
  models: null,
  key: { id: 'testkey12345', expires_at: null },
  person: null,
};
