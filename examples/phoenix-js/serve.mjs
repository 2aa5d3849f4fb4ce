// node serve.mjs [PORT] - serves the demonstration's page, with the npm package in place of the
// project's own client, to the browsers of this machine.

import { createReadStream } from "node:fs";
import http from "node:http";

const ASSETS = "../../towpath/assets";
const PAGE = `${ASSETS}/topics`;
const FILES = {
  "/icon.svg": [`${ASSETS}/icon.svg`, "image/svg+xml"],
  "/": [`${PAGE}/index.html`, "text/html; charset=utf-8"],
  "/topics/chat.js": [`${PAGE}/chat.js`, "text/javascript"],
  "/topics/main.js": ["main.js", "text/javascript"],
  "/topics/phoenix.mjs": ["node_modules/phoenix/priv/static/phoenix.mjs", "text/javascript"],
};

const port = Number(process.argv[2] ?? 8080);
const server = http.createServer((request, response) => {
  const [name, type] = FILES[new URL(request.url, "http://localhost").pathname] ?? [];
  if (name === undefined) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader("content-type", type);
  createReadStream(new URL(name, import.meta.url)).pipe(response);
});
server.listen(port, "127.0.0.1", () => console.log(`The page is at http://localhost:${server.address().port}/`));
