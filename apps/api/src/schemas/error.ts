import { Type } from 'typebox';
import { named, ref } from './schema.ts';

/** An error in a line of a file, and all other lines with the same error. */
export const LineFaultFields = {
  line: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'Of a file: the line, or the first of several with this fault.',
    }),
  ),
  message: Type.String(),
  count: Type.Optional(Type.Integer({ minimum: 2, description: 'Where several lines have it: how many.' })),
  lines: Type.Optional(
    Type.Array(Type.Array(Type.Integer({ minimum: 1 }), { minItems: 2, maxItems: 2 }), {
      description:
        'Which lines they are, as ranges from first to last, both included. Of very many the later ones are left out.',
    }),
  ),
};

export const ErrorSchema = named('Error', {
  error: Type.Object({
    message: Type.String({ description: 'For people. Lists every fault that was found.' }),
    type: Type.String({ description: 'invalid_request_error, rate_limit_error or server_error.' }),
    param: Type.Union([Type.String(), Type.Null()], { description: 'The (first) parameter at fault.' }),
    code: Type.String({ description: 'One of the stable codes listed in the description of this API.' }),
    details: Type.Optional(
      Type.Array(
        Type.Object({
          param: Type.Optional(Type.String({ description: 'The parameter at fault.' })),
          ...LineFaultFields,
        }),
        {
          description:
            'Each fault by itself, where there may be several: of fields at most 20, of lines at most 100, each with all lines that have it.',
        },
      ),
    ),
  }),
});

/** The error responses of a route, for its `response`. */
export function errorResponses(...statuses: number[]) {
  return Object.fromEntries(statuses.map((status) => [status, ref(ErrorSchema)]));
}
