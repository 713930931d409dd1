/** Texts of each format of strings that answers can be restricted to: a part of what the format allows where that is shorter. */
const month31 = '(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])';
const month30 = '(0[469]|11)-(0[1-9]|[12]\\d|30)';
const leapYear = '(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)';
const date = `(\\d{4}-(${month31}|${month30}|02-(0[1-9]|1\\d|2[0-8]))|${leapYear}-02-29)`;
const time = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)';
const label = '[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?';
const host = `${label}(\\.${label})*`;
const byte = '(\\d|[1-9]\\d|1\\d\\d|2[0-4]\\d|25[0-5])';
const group = '[\\da-fA-F]{1,4}';
/** Two colons after each number of groups stand for at least one. */
const ipv6 = [
  `(${group}:){7}${group}`,
  ...Array.from(
    { length: 7 },
    (_, i) =>
      `${i === 0 ? ':' : `(${group}:){${i}}`}:${i === 6 ? group : `(${group}(:${group}){0,${5 - i}})?`}`,
  ),
  `(${group}:){7}:`,
].join('|');
const hex = '[\\da-fA-F]';
const sign = "([A-Za-z\\d._~!$&'()*+,;=:@-]|%[\\da-fA-F]{2})";
const word = "[A-Za-z\\d!#$%&'*+/=?^_`{|}~-]+";

export const formats: Readonly<Record<string, string>> = {
  date,
  time,
  'date-time': `${date}T${time}`,
  duration:
    'P(\\d{1,9}W|(\\d{1,9}D|\\d{1,9}M(\\d{1,9}D)?|\\d{1,9}Y(\\d{1,9}M(\\d{1,9}D)?)?)(T(\\d{1,9}H(\\d{1,9}M(\\d{1,9}S)?)?|\\d{1,9}M(\\d{1,9}S)?|\\d{1,9}S))?|T(\\d{1,9}H(\\d{1,9}M(\\d{1,9}S)?)?|\\d{1,9}M(\\d{1,9}S)?|\\d{1,9}S))',
  email: `${word}(\\.${word})*@(${label}\\.)+${label}`,
  hostname: host,
  ipv4: `${byte}(\\.${byte}){3}`,
  ipv6,
  uri: `([a-z][a-z\\d+.-]*://${host}(:\\d{1,5})?(/${sign}*)*|(mailto|urn|tel|data):${sign}+)(\\?(${sign}|[/?])*)?(#(${sign}|[/?])*)?`,
  uuid: `${hex}{8}-${hex}{4}-${hex}{4}-${hex}{4}-${hex}{12}`,
  'json-pointer': '(/([^~/]|~[01])*)*',
};
