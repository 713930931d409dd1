/** Who acts, as audit rows name it: a key, which may be a person's, a person without one, or what has neither. */
export type Actor = KeyActor | PersonActor | SystemActor;

interface KeyActor {
  keyId: string;
  /** Null: a key of the team's own, or of the service's. */
  personId?: string | null;
}

interface PersonActor {
  keyId: null;
  personId: string;
}

/** The two halves of `Actor` that a request can come from: never neither of them. */
export type Requester = Required<KeyActor> | PersonActor;

interface SystemActor {
  keyId: null;
  personId: null;
  system: 'graft_admin' | 'graft';
}

/** The operator, by a verb of `graft admin` that works on the database, and needs no key. */
export const graftAdmin: SystemActor = { keyId: null, personId: null, system: 'graft_admin' };

/** What happens without anybody's request: a budget that is spent, a file that is found damaged. */
export const graftItself: SystemActor = { keyId: null, personId: null, system: 'graft' };

/** Of somebody who asks, no more than who that is. */
export function requesterOf(by: Requester): Requester {
  return by.keyId === null
    ? { keyId: null, personId: by.personId }
    : { keyId: by.keyId, personId: by.personId };
}
