/** Dates as C's `strftime` writes them, in English and in local time. */

const months = "January February March April May June July August September October November December".split(
  " ",
);
const days = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const dayMs = 86_400_000;

const two = (value: number): string => String(value).padStart(2, "0");
const hour12 = (date: Date): number => date.getHours() % 12 || 12;
/** Days are counted in universal time: a local day may last 23 hours. */
const dayOfYear = (date: Date): number =>
  1 +
  (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) /
    dayMs;

const fields: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getFullYear()),
  y: (date) => two(date.getFullYear() % 100),
  m: (date) => two(date.getMonth() + 1),
  d: (date) => two(date.getDate()),
  e: (date) => String(date.getDate()).padStart(2, " "),
  B: (date) => months[date.getMonth()] ?? "",
  b: (date) => (months[date.getMonth()] ?? "").slice(0, 3),
  h: (date) => (months[date.getMonth()] ?? "").slice(0, 3),
  A: (date) => days[date.getDay()] ?? "",
  a: (date) => (days[date.getDay()] ?? "").slice(0, 3),
  w: (date) => String(date.getDay()),
  u: (date) => String(date.getDay() || 7),
  j: (date) => String(dayOfYear(date)).padStart(3, "0"),
  H: (date) => two(date.getHours()),
  I: (date) => two(hour12(date)),
  M: (date) => two(date.getMinutes()),
  S: (date) => two(date.getSeconds()),
  f: (date) => String(date.getMilliseconds() * 1000).padStart(6, "0"),
  p: (date) => (date.getHours() < 12 ? "AM" : "PM"),
  Z: () => "",
  z: () => "",
  n: () => "\n",
  t: () => "\t",
  "%": () => "%",
};
const together: Readonly<Record<string, string>> = {
  F: "%Y-%m-%d",
  D: "%m/%d/%y",
  T: "%H:%M:%S",
  R: "%H:%M",
};

/** `-` after the percent sign leaves out zeros in front, as glibc does. Unknown fields stay as they are. */
export function strftime(date: Date, format: string): string {
  return format
    .replace(/%([FDTR])/g, (_all, name: string) => together[name] ?? "")
    .replace(/%(-?)([a-zA-Z%])/g, (all, bare: string, name: string) => {
      const text = (Object.hasOwn(fields, name) ? fields[name] : undefined)?.(date);
      if (text === undefined) return all;
      return bare ? text.replace(/^[0 ]+(?=.)/, "") : text;
    });
}
