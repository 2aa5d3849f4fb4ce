/** What is sent along with a connection; `null` and `undefined` are left out. */
export type Params = Record<string, unknown>;

/** A value, or what makes a fresh one for every attempt; it may take its time. */
export type Source<Value> = Value | (() => Value | Promise<Value>);

/** The value of a source. */
export async function valueOf<Value>(source: Source<Value>): Promise<Value> {
  return typeof source === "function" ? (source as () => Value | Promise<Value>)() : source;
}

/** `params` as a query, nested ones as `outer[inner]=value`, without `?`. */
export function queryOf(params: Params): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) append(query, key, value);
  return query.toString();
}

function append(query: URLSearchParams, key: string, value: unknown): void {
  if (value === null || value === undefined) return;
  if (typeof value !== "object") {
    query.append(key, String(value));
    return;
  }
  const isList = Array.isArray(value);
  for (const [inner, part] of Object.entries(value)) append(query, `${key}[${isList ? "" : inner}]`, part);
}
