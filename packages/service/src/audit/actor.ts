/** Actor of an audit row: a key (which may belong to a person), a person without a key, or the system. */
export type Actor = KeyActor | PersonActor | SystemActor;

interface KeyActor {
  keyId: string;
  /** Null: the key belongs to the team or to the service. */
  personId?: string | null;
}

interface PersonActor {
  keyId: null;
  personId: string;
}

/** The variants of `Actor` that a request can have. */
export type Requester = Required<KeyActor> | PersonActor;

interface SystemActor {
  keyId: null;
  personId: null;
  system: 'graft_admin' | 'graft';
}

/** The operator, running a `graft admin` command that works on the database directly and needs no key. */
export const graftAdmin: SystemActor = { keyId: null, personId: null, system: 'graft_admin' };

/** Graft itself, without a request: for example when a budget is spent or a file is found damaged. */
export const graftItself: SystemActor = { keyId: null, personId: null, system: 'graft' };

/** Reduces a requester to the fields that identify it. */
export function requesterOf(by: Requester): Requester {
  return by.keyId === null
    ? { keyId: null, personId: by.personId }
    : { keyId: by.keyId, personId: by.personId };
}
