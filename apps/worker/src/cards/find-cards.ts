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

/** The cards of this machine, and the faults of the unusable ones. */
export interface FoundCards {
  cards: Card[];
  /** One for each card that is listed but cannot be used. */
  faults: CardFault[];
}

/**
 * Finds the cards that nvidia-smi lists. A card in MIG mode is replaced by its MIG devices, each with its own UUID. Throws
 * `CardFault` where nvidia-smi is missing, fails, or lists none.
 */
export async function findCards(): Promise<FoundCards> {
  const query = (fields: readonly string[]) => askSmi([`--query-gpu=${fields.join(',')}`, csv]);
  const output = await query([...cardFields, 'mig.mode.current']).catch(async (fault) => {
    // Drivers without MIG support reject the field. Any other fault occurs again.
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
          ...card,
          uuid,
          name: `${card.name} MIG ${profile}`,
          memoryMib,
          parent: card.uuid,
          migIndex: index,
        });
  }
  const [first] = faults;
  if (cards.length === 0 && first) throw first;
  return { cards, faults };
}

/** The name by which operators know a card, such as "NVIDIA H100 PCIe (GPU-8f3ac5b0-…)". */
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
 * The faults of these cards by UUID, without the healthy ones. A lost card can make nvidia-smi fail for all cards: then each is
 * queried separately. Throws `CardFault` where the driver or nvidia-smi is at fault.
 */
export async function lookAtCards(planned: readonly Card[]): Promise<Map<string, CardFault>> {
  try {
    const { cards, faults } = await findCards();
    const there = new Set(cards.map(({ uuid }) => uuid));
    const gone = planned.filter(({ uuid }) => !there.has(uuid));
    return new Map(gone.map((card) => [card.uuid, lostCardFault(card, faults)]));
  } catch (fault) {
    if (!(fault instanceof CardFault)) throw fault;
    // Only these faults may concern a single card.
    if (fault.code !== 'gpu_lost' && fault.code !== 'gpu_not_found' && fault.code !== 'gpu_tool_failed')
      throw fault;
    const faults = new Map<string, CardFault>();
    for (const card of planned) {
      const own = await askAfter(card);
      if (own) faults.set(card.uuid, own);
    }
    // No card answers: the driver or nvidia-smi is at fault, unless it reports a lost card.
    if (faults.size === 0 || (faults.size === planned.length && fault.code !== 'gpu_lost')) throw fault;
    return faults;
  }
}

function lostCardFault(card: Card, faults: readonly CardFault[]): CardFault {
  const said = faults.find(({ message }) => message.includes(card.parent ?? card.uuid));
  return said ?? new CardFault('gpu_lost', `nvidia-smi no longer lists ${nameOf(card)}.`);
}

/** Queries one card; null where it is present and usable. */
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
