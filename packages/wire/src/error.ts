import { Type } from 'typebox';
import { named, optional, ref } from './schema.ts';

/** An error in a line of a file, and all other lines with the same error. */
export const LineFaultFields = {
  line: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'For a fault in a file, the line number, or the first of several lines with this fault.',
    }),
  ),
  message: Type.String(),
  ...optional({
    count: Type.Integer({
      minimum: 2,
      description: 'Number of lines with this fault, if there are several.',
    }),
    lines: Type.Array(Type.Array(Type.Integer({ minimum: 1 }), { minItems: 2, maxItems: 2 }), {
      description:
        'Lines with this fault, as ranges of first and last line, inclusive. If there are very many, later ranges are omitted.',
    }),
  }),
};

export const ErrorSchema = named('Error', {
  error: Type.Object({
    message: Type.String({ description: 'Human-readable message that describes every fault found.' }),
    type: Type.String({
      description: 'Type of the error: `invalid_request_error`, `rate_limit_error` or `server_error`.',
    }),
    param: Type.Union([Type.String(), Type.Null()], {
      description: 'Name of the (first) invalid parameter. Null if the error is not about a parameter.',
    }),
    code: Type.String({
      description: 'Stable error code, one of those listed in the description of this API.',
    }),
    details: Type.Optional(
      Type.Array(
        Type.Object({
          param: Type.Optional(Type.String({ description: 'Name of the invalid parameter.' })),
          ...LineFaultFields,
        }),
        {
          description:
            'Each fault separately, if there can be several: at most 20 faults of parameters or 100 faults of lines, each with all lines that have it.',
        },
      ),
    ),
  }),
});

/** The error responses of a route, for its `response`. */
export function errorResponses(...statuses: number[]) {
  return Object.fromEntries(statuses.map((status) => [status, ref(ErrorSchema)]));
}
