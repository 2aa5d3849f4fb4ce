// node serve.mjs [PORT] - serves this folder's page to the browsers of this machine.

import { createReadStream } from "node:fs";
import http from "node:http";

const FILES = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/chat.js": ["chat.js", "text/javascript"],
  "/node_modules/phoenix/priv/static/phoenix.mjs": ["node_modules/phoenix/priv/static/phoenix.mjs", "text/javascript"],
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
