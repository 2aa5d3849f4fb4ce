// Where the server is.

const first = process.env.TOWPATH_URL;
if (first === undefined) throw new Error("TOWPATH_URL names the server, http://127.0.0.1:4000 for example");

/** The nodes; the second is the first if there is only one. */
export const NODES = [first, process.env.TOWPATH_URL_2 ?? first].map((it) => new URL(it).origin);

let turn = 0;

/** The nodes in turn: of two clients of a test each is on its own. */
export function anyNode() {
  turn += 1;
  return NODES[turn % NODES.length];
}

/** `path` on a node, with `params`, for a WebSocket. */
export function wsAddress(path, params = {}, node = anyNode()) {
  return httpAddress(path, params, node).replace(/^http/, "ws");
}

/** `path` on a node, with `params`, an object or pairs, for a request. */
export function httpAddress(path, params = {}, node = anyNode()) {
  const query = new URLSearchParams(params).toString();
  return `${node}${path}${query === "" ? "" : `?${query}`}`;
}
