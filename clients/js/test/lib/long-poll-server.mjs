// An HTTP server on a free port whose answers a test gives.

import { createServer } from "node:http";

import { Inbox } from "./server.mjs";

export class LongPollServer {
  #requests = { GET: new Inbox(), POST: new Inbox() };

  /** A server that ends with the test. */
  static async start(context) {
    const server = new LongPollServer();
    server.http = createServer((request, response) => server.#take(request, response));
    await new Promise((resolve) => server.http.listen(0, "127.0.0.1", resolve));
    server.address = `http://127.0.0.1:${server.http.address().port}/longpoll`;
    context.after(() => {
      server.http.closeAllConnections();
      server.http.close();
    });
    return server;
  }

  /** The next request of that method: its headers, its body, and `answer`, which takes what goes back as JSON. */
  next(method) {
    return this.#requests[method].next(method);
  }

  /** How many of that method nobody has looked at. */
  waiting(method) {
    return this.#requests[method].length;
  }

  async #take(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const answer = (body) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(body));
    };
    const closed = new Promise((resolve) => response.once("close", resolve));
    const { method, headers } = request;
    const body = Buffer.concat(parts).toString();
    this.#requests[method].add({ headers, body, answer, closed, atMs: performance.now() });
  }
}
