import { Type } from 'typebox';
import { named, ref } from './schema.ts';

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
          line: Type.Optional(Type.Integer({ minimum: 1, description: 'The line of the file.' })),
          message: Type.String(),
        }),
        {
          description:
            'Each fault by itself, where several may be told: of fields at most 20, of lines the first 100.',
        },
      ),
    ),
  }),
});

/** The error answers of a route, for its `response`. */
export function errorResponses(...statuses: number[]) {
  return Object.fromEntries(statuses.map((status) => [status, ref(ErrorSchema)]));
}
