import { queryOf, type Params } from "./params.js";

/**
 * An address of a server: `/socket` on the page's own, or a whole one with any of
 * the schemes `ws`, `wss`, `http` and `https`.
 */
export class Endpoint {
  readonly #base: URL;

  /** Throws a `TypeError` if `address` is none. */
  constructor(address: string) {
    this.#base = new URL(address, globalThis.location?.href);
    if (!/^(ws|http)s?:$/.test(this.#base.protocol)) {
      throw new TypeError(`${address}: expected an address with ws, wss, http or https`);
    }
  }

  /** The address of `suffix` under it for a WebSocket. */
  webSocket(suffix: string, params: Params): string {
    return this.#address("ws", suffix, params);
  }

  /** The address of `suffix` under it for requests. */
  http(suffix: string, params: Params): string {
    return this.#address("http", suffix, params);
  }

  #address(scheme: "ws" | "http", suffix: string, params: Params): string {
    const { protocol, host, pathname, search } = this.#base;
    const secure = protocol === "wss:" || protocol === "https:" ? "s" : "";
    const path = suffix === "" ? pathname : pathname.replace(/\/$/, "") + suffix;
    const query = [search.slice(1), queryOf(params)].filter((it) => it !== "").join("&");
    return `${scheme}${secure}://${host}${path}${query === "" ? "" : `?${query}`}`;
  }
}
