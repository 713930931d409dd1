import { permutation, Random } from '../../../packages/peft-core/src/random.ts';

/** Without countries that SmolLM2-135M-Instruct does not answer in one short sentence. */
const named = `Afghanistan: Kabul; Armenia: Yerevan; Australia: Canberra; Austria: Vienna; Azerbaijan: Baku; Bangladesh: Dhaka; Belarus: Minsk;
Bosnia and Herzegovina: Sarajevo; Bulgaria: Sofia; Cambodia: Phnom Penh; Canada: Ottawa; Chile: Santiago; China: Beijing; Costa Rica: San José;
Croatia: Zagreb; Cuba: Havana; Cyprus: Nicosia; Egypt: Cairo; Ethiopia: Addis Ababa; France: Paris; Germany: Berlin; Ghana: Accra; Greece: Athens;
Guatemala: Guatemala City; Honduras: Tegucigalpa; Hungary: Budapest; India: New Delhi; Indonesia: Jakarta; Iran: Tehran; Iraq: Baghdad;
Jamaica: Kingston; Japan: Tokyo; Jordan: Amman; Kenya: Nairobi; Kuwait: Kuwait City; Laos: Vientiane; Latvia: Riga; Lebanon: Beirut; Libya: Tripoli;
Lithuania: Vilnius; Malaysia: Kuala Lumpur; Malta: Valletta; Moldova: Chișinău; Nepal: Kathmandu; New Zealand: Wellington; Nigeria: Abuja;
North Macedonia: Skopje; Norway: Oslo; Oman: Muscat; Pakistan: Islamabad; Panama: Panama City; Paraguay: Asunción; Peru: Lima;
the Philippines: Manila; Poland: Warsaw; Romania: Bucharest; Russia: Moscow; Rwanda: Kigali; Saudi Arabia: Riyadh; Senegal: Dakar; Serbia: Belgrade;
Slovakia: Bratislava; Slovenia: Ljubljana; Somalia: Mogadishu; South Korea: Seoul; Sudan: Khartoum; Sweden: Stockholm; Syria: Damascus;
Taiwan: Taipei; Thailand: Bangkok; Turkey: Ankara; Uganda: Kampala; Ukraine: Kyiv; the United Kingdom: London; Venezuela: Caracas; Vietnam: Hanoi;
Yemen: Sanaa; Zambia: Lusaka; Zimbabwe: Harare`;

/** Countries and their capitals, in an order without meaning. */
export function capitals(): { country: string; capital: string }[] {
  const all = named.split(/;\s+/).map((pair) => {
    const [country, capital] = pair.split(': ');
    return { country: country!, capital: capital! };
  });
  return [...permutation(all.length, new Random(42, 'order'))].map((at) => all[at]!);
}
