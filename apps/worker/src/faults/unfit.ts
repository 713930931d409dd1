/** Why a worker cannot work. `message` is for the operator; `plain`, without paths, for the teams whose jobs move to other workers. */
export class UnhealthyReason extends Error {
  readonly plain: string;

  constructor(plain: string, message: string) {
    super(message);
    this.plain = plain;
  }
}
