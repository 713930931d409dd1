import type { Command } from 'commander';
import { noun } from '../verb.ts';
import { addAuditVerbs } from './audit.ts';
import { addBaseModelVerbs } from './base-models.ts';
import { addKeyVerbs, addOperatorKeyVerbs } from './keys.ts';
import { addLeftoverVerbs } from './leftovers.ts';
import { addPeopleVerbs } from './people.ts';
import { addTeamVerbs } from './teams.ts';
import { addUsageVerbs } from './usage.ts';
import { addWorkerVerbs } from './workers.ts';

/** `graft admin …`: the verbs that use the API with an operator key. */
export function addAdminVerbs(program: Command): Command {
  program.commandsGroup("For the service's operator:");
  const admin = noun(
    program,
    'admin',
    'manage teams, people, keys, workers, base models, leftovers and prices, with an operator key',
  );
  addTeamVerbs(admin);
  addPeopleVerbs(admin);
  addKeyVerbs(admin);
  addOperatorKeyVerbs(admin);
  addWorkerVerbs(admin);
  addBaseModelVerbs(admin);
  addLeftoverVerbs(admin);
  addAuditVerbs(admin);
  addUsageVerbs(admin);
  return admin;
}
