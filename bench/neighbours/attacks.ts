import { uploadFile } from '../running-api.ts';
import {
  chat,
  exportVersion,
  line,
  type Team,
  template,
  trained,
  turns,
  upload,
  uploadAdapter,
  validate,
  writeLines,
} from './team.ts';

/**
 * One piece of a team's work, repeated when it has ended. Resolves to how it ended: `done`, the code of the user's fault, `cancelled` where
 * the round was over first, `busy` and the code of a 503, or else `broken` and why.
 */
export type Act = (i: number) => Promise<string>;

export interface Attack {
  number: number;
  name: string;
  /** Acts at a time. */
  atOnce: number;
  /** How an ordinary team does equal work, where that is not as many acts at a time. */
  ordinaryAtOnce?: number;
  /** True where each hostile act must be the user's fault. */
  isRefused: boolean;
  /** Writes files and trains adapters that the team's acts need. */
  open(team: Team, isHostile: boolean): Promise<Act>;
}

/** An ordinary team's large work is this many small pieces. */
const pieces = 64;

const doubled = (times: number) =>
  `{% set x = ['a'] %}{% set y = ['a'] %}${'{% set x = [x, x] %}{% set y = [y, y] %}'.repeat(times)}`;
const doubling = `${doubled(45)}{% if x == y %}{% endif %}`;
/** 64 MiB, which a long conversation's budget allows; as the only text, or twice in a list. */
const longFault = (isList: boolean) =>
  `{% set ns = namespace(x='x') %}{% for i in range(26) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ raise_exception(${isList ? '[ns.x, ns.x]' : 'ns.x'}) }}`;

export const attacks: readonly Attack[] = [
  {
    number: 1,
    name: 'templates that compare a list doubled 45 times',
    atOnce: 2,
    isRefused: true,
    open: async (team, isHostile) => {
      const file = await uploadFile(team.api, team.key, line(turns('a')).repeat(20));
      const chat_template = template(isHostile ? doubling : '');
      return async (i) => await validate(team, file, { seed: i, training: { chat_template } });
    },
  },
  {
    number: 2,
    name: 'templates whose faults have 64 and 128 MiB',
    atOnce: 3,
    isRefused: true,
    open: async (team, isHostile) => {
      // As many messages as the budget must have for 128 MiB, in as few tokens as the model can read.
      const file = await uploadFile(team.api, team.key, line(turns('a', 300)));
      return async (i) => {
        const chat_template = isHostile ? longFault(i % 2 === 1) : template();
        return await validate(team, file, { seed: i, training: { chat_template } });
      };
    },
  },
  {
    number: 3,
    name: 'schemas with nested unbounded quantifiers',
    atOnce: 4,
    isRefused: true,
    open: async (team, isHostile) => {
      return async (i) => {
        const pattern = isHostile ? `^(([a-z ]*[a-z ]*)*)*${'a'.repeat(i % 4)}$` : '^[a-z ]*$';
        const schema = { type: 'object', properties: { a: { type: 'string', pattern } }, required: ['a'] };
        const response_format = { type: 'json_schema', json_schema: { name: 'a', schema } };
        return await chat(team, 'tiny', 'Write.', { response_format, max_tokens: 32 });
      };
    },
  },
  {
    number: 4,
    name: 'prompts and exports of an adapter with an expensive template',
    atOnce: 4,
    isRefused: false,
    open: async (team, isHostile) => {
      // Training's short conversations are cheap, those that exports render are not.
      const isCostly = '{% if messages | length > 2 or messages[0].content | length > 1000 %}';
      const model = await trained(
        team,
        `template-${isHostile}`,
        template(isHostile ? `${isCostly}${doubling}{% endif %}` : ''),
      );
      return async (i) =>
        i % 4 === 3 ? await exportVersion(team, model) : await chat(team, model.model, 'a'.repeat(1500));
    },
  },
  {
    number: 5,
    name: 'adapters of ever other shapes',
    atOnce: 4,
    isRefused: false,
    open: async (team, isHostile) => {
      const all = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
      return async (i) => {
        const [r, targets] = isHostile ? [1 + (i % 16), 1 + ((i * 37) % 127)] : [4, 0b101];
        const target_modules = all.filter((_, bit) => (targets >> bit) & 1);
        const { model } = await uploadAdapter(team, `shape-${i % 200}`, { r, target_modules });
        return await chat(team, model, 'Write.');
      };
    },
  },
  {
    number: 6,
    name: 'an upload of a large file',
    atOnce: 1,
    isRefused: false,
    open: async (team, isHostile) => {
      const file = await writeLines(team, isHostile ? team.bytes : team.bytes / pieces);
      return async () => {
        await upload(team, file);
        return 'done';
      };
    },
  },
  {
    number: 7,
    name: 'a validation of a large file',
    atOnce: 1,
    isRefused: false,
    open: async (team, isHostile) => {
      const file = await upload(team, await writeLines(team, isHostile ? team.bytes : team.bytes / pieces));
      return async (i) => await validate(team, file, { seed: i });
    },
  },
  {
    number: 8,
    name: '16 exports at once',
    atOnce: 16,
    ordinaryAtOnce: 1,
    isRefused: false,
    open: async (team) => {
      const options = { r: 2, target_modules: ['q_proj'] };
      return async (i) => await exportVersion(team, await uploadAdapter(team, `export-${i % 200}`, options));
    },
  },
];
