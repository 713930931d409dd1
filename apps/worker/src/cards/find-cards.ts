import { CardFault } from '../faults/card-fault.ts';
import { askSmi } from './nvidia-smi.ts';
import {
  type Card,
  cardFields,
  memoryOfProfile,
  parseListedCards,
  parseMigDevices,
  parseMigMemory,
} from './parse-cards.ts';

const csv = '--format=csv,noheader,nounits';

/** What this machine can compute on, and what is wrong with the rest. */
export interface FoundCards {
  cards: Card[];
  /** Of cards that are listed and cannot be used. */
  faults: CardFault[];
}

/**
 * The cards that nvidia-smi lists; in place of one in MIG mode its MIG devices, each by its own UUID. Throws `CardFault` where
 * nvidia-smi is missing, fails, or lists none.
 */
export async function findCards(): Promise<FoundCards> {
  const query = (fields: readonly string[]) => askSmi([`--query-gpu=${fields.join(',')}`, csv]);
  const output = await query([...cardFields, 'mig.mode.current']).catch(async (fault) => {
    // Of a driver that knows no MIG. Another fault comes again.
    if (fault instanceof CardFault && fault.code === 'gpu_tool_failed') return await query(cardFields);
    throw fault;
  });
  const listed = parseListedCards(output);
  if (listed.length === 0)
    throw new CardFault(
      'gpu_not_found',
      `nvidia-smi lists no GPU on this machine: ${output.trim() || 'nothing'}`,
    );
  const migs = await migDevices(listed.some(({ isDivided }) => isDivided));
  const cards: Card[] = [];
  const faults: CardFault[] = [];
  for (const { isDivided, isLost, ...card } of listed) {
    const parts = migs.filter(({ parent }) => parent === card.uuid);
    if (isLost) faults.push(new CardFault('gpu_lost', `nvidia-smi says that ${nameOf(card)} is lost.`));
    else if (!isDivided) cards.push(card);
    else if (parts.length === 0)
      faults.push(new CardFault('gpu_without_mig_device', `${nameOf(card)} has no MIG device.`));
    else
      for (const { uuid, profile, memoryMib, index } of parts)
        cards.push({
          ...{ ...card, uuid, name: `${card.name} MIG ${profile}`, memoryMib },
          ...{ parent: card.uuid, migIndex: index },
        });
  }
  const [first] = faults;
  if (cards.length === 0 && first) throw first;
  return { cards, faults };
}

/** Such as "NVIDIA H100 PCIe (GPU-8f3ac5b0-…)", as operators know a card. */
export const nameOf = ({ name, uuid }: Pick<Card, 'name' | 'uuid'>): string => `${name} (${uuid})`;

async function migDevices(areAny: boolean) {
  if (!areAny) return [];
  const devices = parseMigDevices(await askSmi(['-L']));
  const memories = parseMigMemory(await askSmi(['-q', '-x']).catch(() => ''));
  return devices.map((device) => {
    const memory = memories.find(({ parent, index }) => parent === device.parent && index === device.index);
    return { ...device, memoryMib: memory?.totalMib ?? memoryOfProfile(device.profile) };
  });
}

/**
 * What is wrong with each of these cards now; nothing of those that are well. One that is lost may make nvidia-smi fail for all: then
 * each is asked after by itself. Throws `CardFault` where the fault is that of the driver or of nvidia-smi.
 */
export async function lookAtCards(planned: readonly Card[]): Promise<Map<string, CardFault>> {
  try {
    const { cards, faults } = await findCards();
    const there = new Set(cards.map(({ uuid }) => uuid));
    const gone = planned.filter(({ uuid }) => !there.has(uuid));
    return new Map(gone.map((card) => [card.uuid, goneFault(card, faults)]));
  } catch (fault) {
    if (!(fault instanceof CardFault)) throw fault;
    // Only what is said of one card need not be so of the others.
    if (fault.code !== 'gpu_lost' && fault.code !== 'gpu_not_found' && fault.code !== 'gpu_tool_failed')
      throw fault;
    const faults = new Map<string, CardFault>();
    for (const card of planned) {
      const own = await askAfter(card);
      if (own) faults.set(card.uuid, own);
    }
    // None answers: then it is nvidia-smi or the driver, unless it says otherwise.
    if (faults.size === 0 || (faults.size === planned.length && fault.code !== 'gpu_lost')) throw fault;
    return faults;
  }
}

function goneFault(card: Card, faults: readonly CardFault[]): CardFault {
  const said = faults.find(({ message }) => message.includes(card.parent ?? card.uuid));
  return said ?? new CardFault('gpu_lost', `nvidia-smi no longer lists ${nameOf(card)}.`);
}

/** Null: it is there. */
async function askAfter(card: Card): Promise<CardFault | null> {
  const uuid = card.parent ?? card.uuid;
  try {
    const listed = parseListedCards(
      await askSmi([`--id=${uuid}`, `--query-gpu=${cardFields.join(',')}`, csv]),
    );
    if (listed.some((each) => each.uuid === uuid && !each.isLost)) return null;
    return new CardFault('gpu_lost', `nvidia-smi no longer lists ${nameOf(card)}.`);
  } catch (error) {
    if (!(error instanceof CardFault)) throw error;
    return new CardFault('gpu_lost', `nvidia-smi does not reach ${nameOf(card)}: ${error.message}`);
  }
}
