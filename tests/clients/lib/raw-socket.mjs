// A WebSocket client that can break the rules: it writes the frames it is given, bit by bit.

import { createHash, randomBytes } from "node:crypto";
import net from "node:net";

import { within } from "./run.mjs";

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

const STEP_LIMIT_MS = 15_000;
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** One frame's bytes. `rsv` holds the three reserved bits, the first as 4. */
export function frame(opcode, payload, { fin = true, rsv = 0, masked = true } = {}) {
  const body = Buffer.from(payload);
  if (body.length > 65_535) throw new Error("a raw frame has at most 65535 bytes here");
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const maskBit = masked ? 0x80 : 0;
  if (body.length < 126) head.push(maskBit | body.length);
  else head.push(maskBit | 126, body.length >> 8, body.length & 0xff);
  if (!masked) return Buffer.concat([Buffer.from(head), body]);
  const mask = randomBytes(4);
  return Buffer.concat([Buffer.from(head), mask, body.map((byte, at) => byte ^ mask[at % 4])]);
}

/** The payload of a close frame. */
export function closePayload(code, reason = "") {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return Buffer.concat([payload, Buffer.from(reason)]);
}

/** Opens a connection, writes `frames`, and answers with the code the server closes with. */
export async function closeCodeAfter(url, path, frames) {
  const connection = net.connect(Number(url.port || 80), url.hostname);
  try {
    const reader = new Reader(connection);
    await handshake(connection, reader, url, path);
    connection.write(Buffer.concat(frames));
    for (;;) {
      const { opcode, payload } = await reader.frame();
      if (opcode !== OPCODE.close) continue;
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      connection.write(frame(OPCODE.close, payload));
      await reader.end();
      return code;
    }
  } finally {
    connection.destroy();
  }
}

async function handshake(connection, reader, url, path) {
  const key = randomBytes(16).toString("base64");
  connection.write(
    `GET ${path} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  const head = await reader.head();
  const accept = createHash("sha1").update(key + ACCEPT_SUFFIX).digest("base64");
  if (!head.startsWith("HTTP/1.1 101 ") || !head.includes(accept)) {
    throw new Error(`the handshake was refused: ${head}`);
  }
}

/** Reads what the server sends: first the response's head, then frames, then the end. */
class Reader {
  #buffer = Buffer.alloc(0);
  #ended = null;
  #wake = () => {};

  constructor(connection) {
    connection.on("data", (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#wake();
    });
    connection.on("close", () => {
      this.#ended ??= "the server closed the connection";
      this.#wake();
    });
    connection.on("error", (error) => {
      this.#ended ??= `the connection failed: ${error.message}`;
      this.#wake();
    });
  }

  async head() {
    const end = await this.#until("response", () => {
      const at = this.#buffer.indexOf("\r\n\r\n");
      return at < 0 ? null : at + 4;
    });
    return this.#take(end).toString("latin1");
  }

  async frame() {
    const { head, length } = await this.#until("frame", () => {
      const buffer = this.#buffer;
      if (buffer.length < 2) return null;
      const short = buffer[1] & 0x7f;
      const head = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
      if (buffer.length < head) return null;
      const length =
        short === 126 ? buffer.readUInt16BE(2) : short === 127 ? Number(buffer.readBigUInt64BE(2)) : short;
      return buffer.length < head + length ? null : { head, length };
    });
    const opcode = this.#buffer[0] & 0x0f;
    return { opcode, payload: this.#take(head + length).subarray(head) };
  }

  async end() {
    const ended = new Promise((resolve) => {
      this.#wake = () => this.#ended && resolve();
      this.#wake();
    });
    await within(STEP_LIMIT_MS, "end of the connection after the close frames", ended);
  }

  async #until(what, look) {
    const found = new Promise((resolve, reject) => {
      this.#wake = () => {
        const answer = look();
        if (answer !== null) resolve(answer);
        else if (this.#ended) reject(new Error(`no ${what}: ${this.#ended}`));
      };
      this.#wake();
    });
    return within(STEP_LIMIT_MS, what, found);
  }

  #take(length) {
    const taken = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return taken;
  }
}
